"""Taking in what is measured, and writing it down."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from workers.foundation import bearer, database, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment
from workers.measurements import telemetry
from workers.measurements.rules.limits import OURS, Policy, Scope
from workers.measurements.rules.samples import Sample, apart, check
from workers.measurements.store import budgets, points
from workers.measurements.store.writer import Writer

log = logs.get("measurements")


class PusherUnknown(ExpectedError):
    """no token of METRICS_INGEST_TOKENS was sent; send `Authorization: Bearer SECRET`"""

    http_status = 401


class TooManySamples(ExpectedError):
    """{source} sent more than {limit} samples in this second; send them again a second later"""

    http_status = 429


@dataclass(frozen=True)
class Source:
    """Who sends, by the name of its token, and what it may send; by default one of our own processes."""

    name: str
    scope: Scope = OURS


@dataclass(frozen=True)
class Taken:
    """How many samples were taken, how many were doubles, and how many were refused, by reason."""

    accepted: int
    refused: dict[str, int]
    doubles: int = 0


def policy() -> Policy:
    """Return METRICS_INGEST_…"""
    return settings.read(Policy)


def source(authorization: str) -> Source:
    """Return whose token an Authorization header has; raises PusherUnknown."""
    limits = policy()
    # Some senders can't say of what kind their token is.
    name = bearer.owner(bearer.given(authorization) or authorization, limits.tokens)
    if name is None:
        raise PusherUnknown
    return Source(name, limits.scopes.get(name, Scope()))


def take(
    samples: Iterable[Sample],
    unread: Mapping[str, int] = MappingProxyType({}),
    *,
    sent_by: Source,
    now: MachineMoment,
) -> Taken:
    """Check samples and put them on their way.

    When this returns they are in the stream. Raises TooManySamples, BufferFull.
    """
    limits, name = policy(), sent_by.name
    batch = check(apart(samples, now=now), limits, sent_by.scope, now=now)
    batch.refused.update(unread)
    if not points.spend(name, len(batch.rows), at=now.timestamp(), limit=limits.samples_per_second):
        raise TooManySamples(source=name, limit=limits.samples_per_second)
    if not sent_by.scope.own:
        left = budgets.spend(batch, name, limits, day=now.date())
        telemetry.series_left.labels(name).set(left)
    points.buffer(batch, limit=limits.buffer_max)
    refused = sum(batch.refused.values())
    distinct = len(np.unique(batch.rows[["series", "at"]]))
    telemetry.samples.labels(name, "accepted").inc(distinct)
    telemetry.samples.labels(name, "refused").inc(refused)
    return Taken(distinct, dict(batch.refused.most_common(20)), len(batch.rows) - distinct)


def offer(samples: Iterable[Sample], *, sent_by: str, now: MachineMoment) -> None:
    """Put what we measured ourselves on its way; what there is no room for is no reason to fail."""
    try:
        take(samples, sent_by=Source(sent_by), now=now)
    except (ExpectedError, RedisError) as error:
        log.warning("not measured", reason="intake", source=sent_by, detail=str(error))


def writer(name: str) -> Writer:
    """Return a writer that begins; several may run, and one of them writes."""
    return Writer(name)


def write(writer: Writer) -> tuple[Writer, int]:
    """Write what waits in the stream; return the writer to go on with, and how many points it took."""
    try:
        with database.transaction() as db:
            written = writer.write(db)
            if written.position:
                writer.counter.count(db, writer.texts, written.events, written.position)
        if written.position:
            writer.counter.keep()
            with database.transaction() as db:
                writer.keep(db)
    except (ExpectedError, DBAPIError, RedisError) as error:
        # What it knows of the database was of a transaction that did not come to be.
        log.error("points not written yet", reason=type(error).__name__, detail=str(error)[:300])
        return Writer(writer.name, writer.counter), -1
    telemetry.samples.labels("stream", "written").inc(written.new)
    telemetry.samples.labels("stream", "double").inc(written.doubles)
    return writer, written.new + written.doubles


def end(writer: Writer) -> None:
    """Write what a writer has counted and not written; to be called when it writes no more."""
    try:
        with database.transaction() as db:
            writer.counter.flush(db)
        writer.counter.keep()
    except (ExpectedError, DBAPIError) as error:
        log.error("good events lost", reason=type(error).__name__)
