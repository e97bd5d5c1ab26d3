"""Notifications as rows: written with what they are about, sent after, once a key and channel; and who is reached where."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import Column, Connection, DateTime, Index, Integer, Table, Text, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from workers.foundation import clock, redis
from workers.foundation.database import insert_once, metadata, over
from workers.foundation.journal import Happening
from workers.foundation.moments import MachineMoment, Moment
from workers.notify.keys import TAKEN
from workers.notify.rules import BODY, TITLE, Notification, Policy, safe

notifications = Table(
    "notifications",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("who", Text, nullable=False, server_default="operations"),
    Column("wedding_id", Text, nullable=False, server_default=""),
    Column("channel", Text, nullable=False, server_default="target-1"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("tried_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
    Column("withdrawn_at", DateTime(timezone=True)),
    info=over("created_at"),
)
_UNSENT = notifications.c.sent_at.is_(None) & notifications.c.withdrawn_at.is_(None)
Index("unsent_notifications", notifications.c.created_at, postgresql_where=_UNSENT)

#: Where people are reached. Addresses are secrets, some are personal: they leave this table for apprise alone.
addresses = Table(
    "addresses",
    metadata,
    Column("who", Text, primary_key=True),
    Column("wedding_id", Text, primary_key=True, server_default=""),
    Column("channel", Text, primary_key=True),
    Column("url", Text, nullable=False),
)


@dataclass(frozen=True)
class Waiting:
    """A notification whose turn it is, and by which channel of whom."""

    key: str
    title: str
    body: str
    severity: str
    who: str
    wedding_id: str
    channel: str


def write(db: Connection, message: Notification, *, who: str, channel: str, at: Moment, wedding_id: str = "") -> bool:
    """Remember a notification to send by a channel; False when its key was known."""
    row = {"key": message.key, "title": safe(message.title, TITLE), "body": safe(message.body, BODY)}
    to = {"who": who, "wedding_id": wedding_id, "channel": channel, "severity": message.severity, "created_at": at}
    return bool(insert_once(db, notifications, [row | to]))


def claim(db: Connection, policy: Policy, *, at: MachineMoment, but: Collection[tuple[str, str]] = ()) -> Waiting | None:
    """Return the oldest that is not sent and whose turn it is, held by this transaction; nobody in `but` (who, channel)."""
    doubled = func.power(2, func.least(notifications.c.attempts - 1, 6))
    tried_at = notifications.c.tried_at
    # What was tried by a clock that ran ahead would wait for it.
    untried = tried_at.is_(None) | (tried_at + policy.retry_after * doubled <= at) | (tried_at > at + timedelta(minutes=1))
    due = [
        _UNSENT,
        notifications.c.attempts < policy.attempts,
        untried,
        tuple_(notifications.c.who, notifications.c.channel).not_in(list(but)),
    ]
    facts = [notifications.c[name] for name in Waiting.__dataclass_fields__]
    oldest = select(*facts).where(*due).order_by(notifications.c.created_at).limit(1)
    row = db.execute(oldest.with_for_update(skip_locked=True)).first()
    return Waiting(*row) if row else None


def unsent(db: Connection, key: str) -> list[Waiting]:
    """Return what was written under a key for each channel and is not sent, held by this transaction."""
    facts = [notifications.c[name] for name in Waiting.__dataclass_fields__]
    rows = db.execute(
        select(*facts).where(_UNSENT, notifications.c.key.startswith(f"{key}/", autoescape=True)).with_for_update()
    )
    return [Waiting(*row) for row in rows]


def overdue(db: Connection, *, attempts: int = 3) -> int:
    """Return how many failed so often that somebody should know."""
    failed = _UNSENT & (notifications.c.attempts >= attempts)
    return int(db.execute(select(func.count()).where(failed)).scalar_one())


def tried(db: Connection, key: str, *, arrived: bool, at: MachineMoment) -> None:
    """Remember an attempt, and whether it arrived."""
    values = {"attempts": notifications.c.attempts + 1, "tried_at": at, "sent_at": at if arrived else None}
    db.execute(update(notifications).where(notifications.c.key == key).values(**values))


def was_taken(key: str) -> bool:
    """Tell whether a target took a notification although no row says so: the database was lost between sending and noting."""
    try:
        return bool(redis.registry().exists(TAKEN + key))
    except RedisError:
        return False


def note_taken(key: str) -> None:
    """Remember for a day, beside the row, that a target took a notification."""
    with suppress(RedisError):
        redis.registry().set(TAKEN + key, 1, ex=86_400)


def give_up(db: Connection, key: str, policy: Policy, *, at: MachineMoment) -> None:
    """Try a notification no more that was tried often enough; its row stays."""
    over = (notifications.c.key == key) & (notifications.c.attempts >= policy.attempts)
    db.execute(update(notifications).where(over).values(withdrawn_at=at))


def withdraw(db: Connection, keys: Iterable[str]) -> None:
    """Have notifications that are not sent yet stay so."""
    db.execute(update(notifications).where(notifications.c.key.in_(list(keys)), _UNSENT).values(withdrawn_at=func.now()))


def register(db: Connection, *, who: str, channel: str, url: str, wedding_id: str = "") -> None:
    """Remember where somebody is reached by a channel, instead of what was known."""
    statement = insert(addresses).values(who=who, channel=channel, url=url, wedding_id=wedding_id)
    db.execute(statement.on_conflict_do_update(index_elements=["who", "wedding_id", "channel"], set_={"url": url}))


def unregister(db: Connection, *, who: str, channel: str, wedding_id: str = "") -> bool:
    """Forget an address, and send nothing more to it; False when there was none."""
    that = (addresses.c.who == who) & (addresses.c.channel == channel) & (addresses.c.wedding_id == wedding_id)
    theirs = (notifications.c.who == who) & (notifications.c.channel == channel) & (notifications.c.wedding_id == wedding_id)
    db.execute(update(notifications).where(theirs, _UNSENT).values(withdrawn_at=func.now()))
    return bool(db.execute(delete(addresses).where(that)).rowcount)


def registered(db: Connection) -> list[tuple[str, str, str]]:
    """Return the (who, wedding id, channel) that have an address; never the addresses."""
    key = (addresses.c.who, addresses.c.wedding_id, addresses.c.channel)
    return [(row[0], row[1], row[2]) for row in db.execute(select(*key).order_by(*key))]


def address(db: Connection, *, who: str, channel: str, wedding_id: str) -> str | None:
    """Return where somebody is reached by a channel; None when nobody said so."""
    that = (addresses.c.who == who) & (addresses.c.channel == channel) & (addresses.c.wedding_id == wedding_id)
    return db.execute(select(addresses.c.url).where(that)).scalar_one_or_none()


def channels(db: Connection, who: str, wedding_id: str = "") -> list[str]:
    """Return the channels by which somebody is reached: of a wedding, or for all."""
    that = (addresses.c.who == who) & (addresses.c.wedding_id == wedding_id)
    return list(db.execute(select(addresses.c.channel).where(that).order_by(addresses.c.channel)).scalars())


def happened(db: Connection, since: datetime, *, most: int) -> list[Happening]:
    """Return the messages that arrived from a moment of the world's on; they are sent by the machine's clock."""
    sent = notifications.c.sent_at
    rows = db.execute(select(notifications).where(sent.is_not(None)).order_by(sent.desc()).limit(most))
    found = [
        Happening(clock.of_the_world(row.sent_at), f"told {row.who} by {row.channel}: {row.title}", wedding_id=row.wedding_id)
        for row in rows
    ]
    return [one for one in found if one.at >= since]
