"""What people ordered of scaling.

Which regions act, what is held, what an emergency wants. It is the audit: all is kept.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Identity,
    Integer,
    Table,
    Text,
    false,
    func,
    select,
    update,
)

from workers.foundation.database import metadata
from workers.foundation.event_log import Happening
from workers.foundation.moments import Moment
from workers.scaling.rules.orders import MODES, Kind, Order

orders = Table(
    "scaling_orders",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("region", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("value", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("ended_by", Text),
)

#: As the version before reads and writes them.
_STORED = {Kind.SUSPEND_SCALE_IN: "hold_in", Kind.SUSPEND_SCALE_OUT: "hold_out"}
_KINDS = {stored: kind for kind, stored in _STORED.items()}
_FACTS = [orders.c[name] for name in Order.__dataclass_fields__]


def give(db: Connection, order: Order) -> None:
    """Remember an order; one of the same kind for the region ends with it, a mode ends the other mode.

    A mode for a time does not: when its time has ended, what was before it holds again.
    """
    for_a_time = order.kind in MODES and order.until is not None
    for kind in MODES if order.kind in MODES and not for_a_time else (order.kind,):
        end(db, order.region, kind, by=order.requested_by, at=order.at, timed_only=for_a_time)
    db.execute(orders.insert().values(**vars(order) | {"kind": _STORED.get(order.kind, order.kind)}))


def end(db: Connection, region: str, kind: Kind, *, by: str, at: Moment, timed_only: bool = False) -> int:
    """End the active orders of a kind (`timed_only` those for a time); return how many there were."""
    ours = (orders.c.region == region) & (orders.c.kind == _STORED.get(kind, kind)) & _is_active(at)
    if timed_only:
        ours &= orders.c.until.is_not(None)
    return db.execute(update(orders).where(ours).values(ended_at=at, ended_by=by)).rowcount


def active(db: Connection, *, at: Moment) -> dict[str, dict[Kind, Order]]:
    """Return the orders that hold at a moment, by region and kind."""
    found: dict[str, dict[Kind, Order]] = {}
    for row in db.execute(select(*_FACTS).where(_is_active(at)).order_by(orders.c.id)):
        order = _order(row)
        found.setdefault(order.region, {})[order.kind] = order
    return found


def history(db: Connection, *, limit: int = 50) -> list[Order]:
    """Return what was ordered, the newest first."""
    return [_order(row) for row in db.execute(select(*_FACTS).order_by(orders.c.id.desc()).limit(limit))]


def happened(db: Connection, since: datetime, *, limit: int) -> list[Happening]:
    """Return the newest `limit` orders that were given or ended from a moment on."""
    found = []
    for one in history(db, limit=limit):
        until = f" until {one.until:%Y-%m-%d %H:%M}Z" if one.until else ""
        what = f"scaling {one.kind} ordered for {one.region}{until}: {one.reason}"
        found.append(Happening(one.at, what, region=one.region, by=one.requested_by))
        if one.ended_at:
            what = f"scaling {one.kind} ended for {one.region}"
            found.append(Happening(Moment(one.ended_at), what, region=one.region, by=one.ended_by or ""))
    return [one for one in found if one.at >= since]


def given(db: Connection, region: str, *, since: datetime, until: datetime) -> list[Order]:
    """Return what was ordered for a region and held at some time in [since, until), the oldest first."""
    ended = (orders.c.ended_at <= since) | (orders.c.until <= since)
    query = select(*_FACTS).where(
        orders.c.region == region, orders.c.at < until, func.coalesce(ended, false()).is_(False)
    )
    return [_order(row) for row in db.execute(query.order_by(orders.c.id))]


def _is_active(at: Moment) -> ColumnElement[bool]:
    return orders.c.ended_at.is_(None) & (orders.c.until.is_(None) | (orders.c.until > at))


def _order(row: Any) -> Order:
    return Order(**dict(row._mapping) | {"kind": _KINDS.get(row.kind) or Kind(row.kind)})
