"""Limits of suppliers that work at many weddings at once: raised for these, given back when they are over."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.caching.store import results
from workers.caching.store.results import Result
from workers.connections.usecases import suppliers
from workers.foundation import database, logs, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.wedding_day.rules import optimising as rules
from workers.wedding_day.rules.optimising import Policy, Step
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import versions

log = logs.get("wedding_day")

#: For so long a limit that was not set is set again; what is of this moment is of the past.
WITHIN, SOON = timedelta(days=2), timedelta(seconds=1)


def raise_for(found: Sequence[Wedding], mark: str, *, now: Moment, machine: MachineMoment) -> None:
    """Let suppliers of many weddings at once have as many connections as those need, until they end."""
    policy, ours = settings.read(Policy), {one for wedding in found for one in wedding.supplier_ids}
    with database.transaction() as db:
        needs, limits, active = _needs(db, ours, found, policy), suppliers.limits(), _active(db)
        rows = [
            _raised(mark, supplier, need, until, limits.get(supplier), active.get(supplier, []))
            for supplier, (need, until) in needs.items()
        ]
        results.record(db, [row for row in rows if row], at=now)
    apply(now=now, machine=machine)


def _active(db: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the raises of limits that were not undone, by supplier, the first first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in results.active(db, Step.SUPPLIER_LIMIT):
        found.setdefault(row["detail"]["supplier"], []).append(row)
    return found


def _raised(
    mark: str,
    supplier: str,
    need: int,
    until: Moment,
    own: int | None,
    active: Sequence[Mapping[str, Any]],
) -> Result | None:
    """Return the raise of a supplier's limit; None where it has what it needs for so long."""
    before = active[0]["detail"]["from"] if active else own or 0
    enough = any(one["detail"]["to"] >= need and one["until"] >= until for one in active)
    if enough or need <= (before or suppliers.all_have()):
        return None
    lacks = max(0, need - (own or suppliers.all_have()))
    key = f"optimise/limit/{mark}/{supplier}/{until:%Y%m%dT%H%M}/{need}"
    operation = f"connections that supplier {supplier} has no place for"
    detail = {"supplier": supplier, "from": before, "to": need}
    return Result(key, Step.SUPPLIER_LIMIT, None, detail, operation, float(lacks), until=until)


def apply(*, now: Moment, machine: MachineMoment) -> None:
    """Set the limits that were raised and not set yet, and measure what still has no place."""
    with database.transaction() as db:
        rows = results.unmeasured(db, Step.SUPPLIER_LIMIT, since=now - WITHIN, until=now + SOON)
    for row in rows:
        supplier, to = row["detail"]["supplier"], row["detail"]["to"]
        if suppliers.limits().get(supplier, 0) < to:
            _set(supplier, to, machine)
            log.info("supplier limit raised", supplier_id=supplier, to=to, reason="many_weddings")
        lacks = max(0, to - suppliers.limits().get(supplier, suppliers.all_have()))
        with database.transaction() as db:
            results.measured(db, {row["key"]: float(lacks)})


def _set(supplier: str, to: int, machine: MachineMoment) -> None:
    try:
        suppliers.limit_supplier(supplier, to, now=machine)
    except suppliers.LimitUnpublished as error:
        log.warning("supplier limit not published yet", reason="redis", detail=str(error))


def _needs(
    db: Connection, ours: Iterable[str], found: Sequence[Wedding], policy: Policy
) -> dict[str, tuple[int, Moment]]:
    """Return how many connections suppliers need around some weddings, and until when."""
    lingers = settings.read(calendar.Policy).wind_down_lasts
    start, end = min(one.starts_at for one in found), max(one.ends_at for one in found)
    theirs: dict[str, list[Wedding]] = {one: [] for one in ours}
    for wedding in versions.of_suppliers(db, theirs, start, end):
        for one in set(wedding.supplier_ids) & theirs.keys():
            theirs[one].append(wedding)
    return {
        one: (
            min(rules.limit_for(rules.at_once(own), policy), suppliers.MAX_PER_SUPPLIER),
            Moment(max(wedding.ends_at for wedding in own) + lingers),
        )
        for one, own in theirs.items()
        if own
    }


def lower(row: Mapping[str, Any], *, now: Moment, machine: MachineMoment) -> None:
    """Give a supplier the limit it had before, or what other weddings of it need still.

    Not where somebody gave it another one since.
    """
    supplier, to = row["detail"]["supplier"], row["detail"]["to"]
    with database.transaction() as db:
        ours = {one["detail"]["to"] for one in _active(db).get(supplier, [])}
        if not results.undo(db, row["id"], at=now):
            return
        left = [one["detail"]["to"] for one in _active(db).get(supplier, [])]
    if suppliers.limits().get(supplier) in ours:
        _set(supplier, max(left, default=row["detail"]["from"]), machine)
    log.info("supplier limit lowered", supplier_id=supplier, was=to, reason="over")
