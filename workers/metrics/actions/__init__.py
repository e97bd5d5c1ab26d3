"""Taking in what is measured, writing it down, rolling it up, letting it go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from secrets import compare_digest
from types import MappingProxyType

import numpy as np
from redis.exceptions import RedisError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from workers.foundation import clock, database, logs, settings, telemetry
from workers.foundation.errors import Anticipated
from workers.foundation.moments import MachineMoment, Moment
from workers.metrics import rules, store
from workers.metrics.rules.samples import Policy, Sample, apart, check
from workers.metrics.store import events, partitions, points, rollups
from workers.metrics.store.writer import Writer
from workers.seasons import store as seasons

log = logs.get("metrics")

#: A run rolls up no longer than so many seconds, well inside its time limit; the next one goes on.
ENOUGH = 10.0


class PusherUnknown(Anticipated):
    """no token of METRICS_INGEST_TOKENS was sent; send `Authorization: Bearer SECRET`"""


class TooManySamples(Anticipated):
    """{source} sent more than {most} samples in this second; send them again a second later"""


@dataclass(frozen=True)
class Taken:
    """How many samples were taken, how many said what another one of them says, and how many were not taken by why."""

    accepted: int
    refused: dict[str, int]
    doubles: int = 0


def policy() -> Policy:
    """Return METRICS_INGEST_…"""
    return settings.read(Policy)


def source(authorization: str) -> str:
    """Return whose token an Authorization header has; raises PusherUnknown."""
    scheme, _, secret_given = authorization.partition(" ")
    given = secret_given.strip().encode() if scheme.casefold() == "bearer" else authorization.encode()
    for name, _, secret in (token.partition(":") for token in policy().tokens.split()):
        if compare_digest(given, secret.encode()):
            return name
    raise PusherUnknown


def take(
    samples: Iterable[Sample], unread: Mapping[str, int] = MappingProxyType({}), *, sent_by: str, now: MachineMoment
) -> Taken:
    """Check samples and put them on their way; when this returns they are in the stream. Raises TooManySamples, BufferFull."""
    limits = policy()
    batch = check(apart(samples, now=now), limits, now=now)
    batch.refused.update(unread)
    if not points.spend(sent_by, len(batch.rows), at=now.timestamp(), most=limits.samples_per_second):
        raise TooManySamples(source=sent_by, most=limits.samples_per_second)
    points.buffer(batch, most=limits.buffer_most)
    refused = sum(batch.refused.values())
    distinct = len(np.unique(batch.rows[["series", "at"]]))
    telemetry.samples.labels(sent_by, "accepted").inc(distinct)
    telemetry.samples.labels(sent_by, "refused").inc(refused)
    return Taken(distinct, dict(batch.refused.most_common(20)), len(batch.rows) - distinct)


def write(writer: Writer) -> tuple[Writer, int]:
    """Write what waits in the stream; return the writer to go on with, and how many points it took."""
    try:
        with database.transaction() as db:
            written = writer.write(db)
            if written.events is not None:
                events.count(db, writer.texts, written.events)
        if written.events is not None:
            with database.transaction() as db:
                writer.trim(db)
    except (Anticipated, DBAPIError, RedisError) as error:
        # What it knows of the database was of a transaction that did not come to be.
        log.error("points not written yet", reason=type(error).__name__, detail=str(error)[:300])
        return Writer(writer.name), -1
    telemetry.samples.labels("stream", "written").inc(written.new)
    telemetry.samples.labels("stream", "double").inc(written.doubles)
    return writer, written.new + written.doubles


def roll_up(*, now: MachineMoment) -> int:
    """Roll up what changed and is over, a span a transaction; return how many. A span that gets late points is made anew."""
    begun, spans = clock.stopwatch(), 0
    while clock.stopwatch() - begun < ENOUGH:
        with database.transaction() as db:
            if not (due := rollups.take_due(db, before=now - timedelta(seconds=15), most=1)):
                break
            for level, start in due:
                rollups.roll_up(db, level, start)
        spans += 1
    with database.transaction() as db:
        events.sum_hours(db, since=now - timedelta(hours=2))
    return spans


def make_partitions(db: Connection, *, world: Moment, now: MachineMoment) -> None:
    """Make the partitions of today and of the days to come."""
    limits = settings.read(rules.Policy)
    for table in rules.kept(limits):
        partitions.make(db, table, rules.partitions(limits, today=(world if table == store.TABLE else now).date()))


def retain(db: Connection, *, world: Moment, now: MachineMoment) -> dict[str, list[str]]:
    """Make the partitions of the days to come, sum up the last days, and drop what is past retention; return what was dropped.

    Snapshots live in the world's time, what services measure in the machines'.
    """
    limits = settings.read(rules.Policy)
    make_partitions(db, world=world, now=now)
    midnight = world.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in (3, 2, 1):
        past = midnight - timedelta(days=ago)
        seasons.note_loads(db, store.highest(db, past, past + timedelta(days=1)), day=past.date())
    events.sum_hours(db, since=now - timedelta(days=3))
    events.sum_weddings(db, since=now - timedelta(days=3), at=now)
    dropped = {}
    for table, keep_days in rules.kept(limits).items():
        today = (world if table == store.TABLE else now).date()
        old = rules.outdated(partitions.known(db, table), keep_days, today=today)
        partitions.drop(db, table, old)
        dropped[table] = [day.isoformat() for day in old]
    return dropped


def missing_partitions(db: Connection, *, now: MachineMoment) -> list[str]:
    """Return the tables that lack the partition of today or tomorrow."""
    wanted = {now.date(), now.date() + timedelta(days=1)}
    tables = rules.kept(settings.read(rules.Policy)).keys() - {store.TABLE}
    return [table for table in sorted(tables) if not wanted <= set(partitions.known(db, table))]
