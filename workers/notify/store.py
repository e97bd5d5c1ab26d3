"""Where people are reached.

Addresses are secrets, some are personal: they leave this table for apprise alone.
"""

from collections.abc import Collection
from contextlib import suppress

from redis.exceptions import RedisError
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Table,
    Text,
    any_,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation import redis
from workers.foundation.database import metadata
from workers.foundation.moments import MachineMoment
from workers.notify.keys import ACCEPTED
from workers.notify.rules import Target

addresses = Table(
    "addresses",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("wedding_id", Text, primary_key=True, server_default=""),
    Column("channel", Text, primary_key=True),
    Column("url", Text, nullable=False),
    # When a message arrived there last, by the machine's clock.
    Column("verified_at", DateTime(timezone=True)),
)


def was_accepted(key: str) -> bool:
    """Tell whether a target took a notification although no row says so.

    The database was lost between sending and noting.
    """
    try:
        return bool(redis.registry().exists(ACCEPTED + key))
    except RedisError:
        return False


def note_accepted(key: str) -> None:
    """Remember for a day, beside the row, that a target took a notification."""
    with suppress(RedisError):
        redis.registry().set(ACCEPTED + key, 1, ex=86_400)


def register(db: Connection, to: Target, url: str) -> None:
    """Remember where somebody is reached by a channel, instead of what was known."""
    row = {"recipient": to.recipient, "channel": to.channel, "wedding_id": to.wedding_id, "url": url}
    # Two keys say the same while the name of before is one, too: an upsert can name only one of them.
    for _ in range(2):
        if db.execute(update(addresses).where(_is(to)).values(url=url, verified_at=None)).rowcount:
            return
        db.execute(insert(addresses).values(row).on_conflict_do_nothing())


def unregister(db: Connection, to: Target) -> bool:
    """Forget an address; False when there was none."""
    return bool(db.execute(delete(addresses).where(_is(to))).rowcount)


def registered(db: Connection) -> list[Target]:
    """Return the targets that have an address; never the addresses."""
    key = (addresses.c.recipient, addresses.c.wedding_id, addresses.c.channel)
    return [Target(*row) for row in db.execute(select(*key).order_by(*key))]


def address(db: Connection, to: Target) -> str | None:
    """Return where somebody is reached by a channel; None when nobody said so."""
    return db.execute(select(addresses.c.url).where(_is(to))).scalar_one_or_none()


def note_verified(db: Connection, to: Target) -> None:
    """Remember that a message arrived there."""
    db.execute(update(addresses).where(_is(to)).values(verified_at=func.now()))


def verified(
    db: Connection, recipients: Collection[str], wedding_ids: Collection[str]
) -> dict[tuple[str, str], MachineMoment | None]:
    """Return when a message arrived at people last, by (recipient, wedding or empty); None: never did."""
    key = addresses.c.recipient, addresses.c.wedding_id
    among = addresses.c.wedding_id == any_(literal(list(wedding_ids), ARRAY(Text)))
    query = select(*key, func.max(addresses.c.verified_at)).where(
        addresses.c.recipient.in_(recipients), among
    )
    return {(who, wedding_id): at for who, wedding_id, at in db.execute(query.group_by(*key))}


def channels_of(
    db: Connection, recipients: Collection[str], wedding_ids: Collection[str]
) -> dict[tuple[str, str], list[str]]:
    """Return the channels by which some people are reached, by (recipient, wedding or empty)."""
    facts = addresses.c.recipient, addresses.c.wedding_id, addresses.c.channel
    among = addresses.c.recipient.in_(recipients) & addresses.c.wedding_id.in_(wedding_ids)
    found: dict[tuple[str, str], list[str]] = {}
    for recipient, wedding_id, channel in db.execute(select(*facts).where(among).order_by(*facts)):
        found.setdefault((recipient, wedding_id), []).append(channel)
    return found


def channels(db: Connection, recipient: str, wedding_id: str = "") -> list[str]:
    """Return the channels by which somebody is reached: of a wedding, or for all."""
    that = (addresses.c.recipient == recipient) & (addresses.c.wedding_id == wedding_id)
    return list(db.execute(select(addresses.c.channel).where(that).order_by(addresses.c.channel)).scalars())


def _is(to: Target) -> ColumnElement[bool]:
    return (
        (addresses.c.recipient == to.recipient)
        & (addresses.c.channel == to.channel)
        & (addresses.c.wedding_id == to.wedding_id)
    )
