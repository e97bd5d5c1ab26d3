"""Is the database fit for a wedding day? Statistics are made anew where it is slow, indexes proposed."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from sqlalchemy import Connection

from workers.caching.store import results
from workers.caching.store.results import Result
from workers.delivery.store import summaries
from workers.foundation import clock, database, logs, redis, settings, slow_statements
from workers.foundation.moments import Moment
from workers.foundation.slow_statements import Slow
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.wedding_day.rules import optimising as rules
from workers.wedding_day.rules.optimising import Policy, Step
from workers.wedding_day.store import days, diagnosis, metrics
from workers.wedding_day.usecases import resting
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import versions, weddings

log = logs.get("wedding_day")

_Read = Callable[[Connection, Wedding, Moment], Any]
#: What is read on a wedding's day, and the tables that it is read from.
OPERATIONS: dict[str, tuple[tuple[str, ...], _Read]] = {
    "weddings that are near, ms": (
        ("weddings",),
        lambda db, one, _now: weddings.between(db, one.starts_at, one.ends_at, limit=500),
    ),
    "the weddings of its suppliers, ms": (
        ("weddings",),
        lambda db, one, _now: versions.of_suppliers(db, one.supplier_ids, one.starts_at, one.ends_at),
    ),
    "how a day goes, ms": (
        ("wedding_days", "critical_path_metrics"),
        lambda db, one, _now: (days.find(db, one.id), metrics.of_wedding(db, one.id, limit=30)),
    ),
    "the messages of a wedding, ms": (
        ("messages", "message_recipients"),
        lambda db, one, _now: summaries.of_wedding(db, one.id, limit=10),
    ),
}
#: An operation is measured so often, and so many slow statements are looked at.
TIMES, STATEMENTS = 5, 10


def look(*, now: Moment, also_resting: bool = False) -> list[str]:
    """Mend slow operations, propose indexes for slow statements; return and tell what people should do."""
    policy = settings.read(Policy)
    with database.transaction() as db:
        sample = weddings.between(db, now, now + rules.MARKS["7d"], limit=1)
    for one in sample:
        for operation in OPERATIONS:
            _mend(operation, one, policy, now, also_resting=also_resting)
    _propose(policy, now)
    with database.transaction() as db:
        found = rules.findings(diagnosis.health(db))
        if found:
            title = f"the database needs somebody: {len(found)}"
            notify.publish(db, Notification(f"database/{now:%Y%m%d}", title, "; ".join(found), "medium"))
    return found


def findings() -> list[str]:
    """Return what people should see to in the database now."""
    with database.transaction() as db:
        return rules.findings(diagnosis.health(db))


def _mend(operation: str, sample: Wedding, policy: Policy, now: Moment, *, also_resting: bool) -> None:
    """Make the statistics anew of the tables that a slow operation reads, where much has changed since."""
    tables, _ = OPERATIONS[operation]
    with database.transaction() as db:
        stale = diagnosis.stale(db, tables)
        rests = not also_resting and resting.rests(db, Step.ANALYZE, operation, now=now)
    if not stale or rests:
        return
    before = _ms(operation, sample, now)
    if before < policy.slow.total_seconds() * 1000:
        return
    with database.transaction() as db:
        made = [table for table in stale if diagnosis.analyze(db, table)]
    if not made:
        log.warning("statistics not made anew", reason="not_allowed", tables=stale)
        return
    after = _ms(operation, sample, now)
    key = f"optimise/analyze/{operation}/{now:%Y%m%dT%H%M}"
    found = Result(key, Step.ANALYZE, None, {"tables": made}, operation, before, after)
    with database.transaction() as db:
        results.record(db, [found], at=now)
    log.info("statistics made anew", reason="slow", operation=operation, before=before, after=after)


def _ms(operation: str, sample: Wedding, now: Moment) -> float:
    """Return what an operation takes in ms, the median of some times."""
    _, read = OPERATIONS[operation]
    found = []
    for _ in range(TIMES):
        begun = clock.stopwatch()
        with database.transaction() as db:
            read(db, sample, now)
        found.append((clock.stopwatch() - begun) * 1000)
    return median(found)


def _slow(db: Connection, policy: Policy) -> Iterable[Slow]:
    """Return slow statements: by pg_stat_statements where it is, else as our own processes saw them."""
    above = policy.slow.total_seconds() * 1000
    if diagnosis.has_statistics(db):
        return diagnosis.slow(db, above_ms=above, limit=STATEMENTS)
    try:
        return [one for one in slow_statements.noted(limit=STATEMENTS) if one.mean_ms >= above]
    except redis.UNREACHABLE:
        return []


def _propose(policy: Policy, now: Moment) -> None:
    """Propose indexes for slow statements, each once; none is ever made."""
    with database.transaction() as db:
        rows, columns = diagnosis.tables(db)
        found = []
        for slow in _slow(db, policy):
            plan = diagnosis.plan(db, slow.statement)
            for index in rules.proposals(plan, rows, columns) if plan else ():
                detail = {
                    "propose": index.statement,
                    "statement": slow.statement[:1_000],
                    "calls": slow.calls,
                }
                key = f"optimise/index/{index.table}/{'+'.join(index.columns)}"
                operation = f"reading {index.table} as a whole, ms"
                found.append(Result(key, Step.INDEX, None, detail, operation, slow.mean_ms))
        if new := results.record(db, found, at=now):
            log.warning("indexes proposed", reason="slow", count=new)
