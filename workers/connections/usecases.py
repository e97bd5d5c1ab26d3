"""Steps that a task and the command line share."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import nan

from workers.commands import usecases as requests
from workers.connections.rules import levels, peak, report
from workers.connections.store import plans, service
from workers.connections.store import registry as store
from workers.foundation import database, journal, logs, redis, settings, telemetry
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay
from workers.snapshots.rules import Snapshot
from workers.weddings import rules as calendar
from workers.weddings.rules import ID, ID_REMEDY
from workers.weddings.store import weddings

log = logs.get("connections")

#: Who is connected belongs to a wedding that is not further off.
NEAR = timedelta(hours=24)
#: A larger plan is a slip of the hand.
MOST_A_SUPPLIER = 100_000


class LimitRefused(ExpectedError):
    """limit refused: {problem}"""


class LimitUntold(ExpectedError):
    """the limit is kept, and obeyed within a minute of the registry's return: it does not answer now ({cause})"""


def phases(now: Moment) -> dict[str, str]:
    """Return the phase of every wedding that is near."""
    policy = settings.read(calendar.Policy)
    with database.transaction() as db:
        near = weddings.between(db, now - NEAR, now + NEAR)
    return {wedding.id: str(calendar.phase(wedding, policy, now=now)) for wedding in near}


def count(totals: report.Totals, rows: Iterable[Snapshot]) -> None:
    """Count for Prometheus what admission did and what was sent since the last time."""
    for row in rows:
        telemetry.subscriptions.labels(row.region).set(row.subscriptions)
        telemetry.messages.labels(row.region).inc(row.messages)
        telemetry.message_errors.labels(row.region).inc(row.errors)
        telemetry.message_bytes.labels(row.region).inc(row.bytes)
        for quantile, value in (("0.5", row.p50_ms), ("0.95", row.p95_ms)):
            # NaN is how Prometheus says `not measured`.
            telemetry.rtt_ms.labels(row.region, quantile).set(nan if value is None else value)
    for reason, many in report.refusals(totals).items():
        telemetry.refusals.labels("connection", reason).inc(many)
    for how, many in report.accepted(totals).items():
        telemetry.admissions.labels(how).inc(many)
    for node, score in report.scores(totals, "node").items():
        telemetry.quality.labels(node).set(score)
    service.tell_quality(report.scores(totals, "wedding"))


def set_emergency_mode(on: bool, *, by: str, now: Moment) -> None:
    """Have guests give way first, or no longer: admission and service levels follow at once; who ordered it is kept."""
    store.set_emergency_mode(on, by=f"{by} since {now:%Y-%m-%d %H:%M}Z")
    journal.note(f"emergency mode {'on' if on else 'off'}", by=by)
    tell_levels(now=now)


def tell_levels(*, now: Moment) -> None:
    """Tell gateways what admission obeys, and what each class of people gets in the phase of their wedding."""
    store.tell_limits()
    emergency, busy = bool(store.emergency_mode()), seasons.kind_of_day(now) is KindOfDay.WEDDING_DAY
    # The phases need the calendar; what does not is told before, also when that is away.
    service.tell_levels(levels.service_levels(busy=busy, emergency=emergency))
    service.tell_phases(phases(now))
    with database.transaction() as db:
        limits = plans.limits(db)
    store.tell_limits(suppliers=limits)


def limit_supplier(supplier_id: str, connections: int, *, now: MachineMoment) -> None:
    """Give a supplier the limit of its plan, 0 for the one that all have; kept, and obeyed at once. Raises LimitRefused."""
    all_have = store.policy().supplier_limit
    if not ID.fullmatch(supplier_id):
        raise LimitRefused(problem=f"supplier_id must be {ID_REMEDY}")
    if connections and not all_have <= connections <= MOST_A_SUPPLIER:
        raise LimitRefused(problem=f"connections must be from {all_have} (which all have) to {MOST_A_SUPPLIER}, or 0")
    with database.transaction() as db:
        plans.set_limit(db, supplier_id, connections, at=now)
    try:
        store.tell_limits(suppliers={supplier_id: connections})
    except redis.UNREACHABLE as error:
        raise LimitUntold(cause=error) from error


def prepare_peak(expected: int, until: datetime, *, now: Moment) -> tuple[peak.PeakPlan, list[str]]:
    """Plan a peak and begin it; return the plan and the weddings that are warmed. Safe to repeat.

    Until `until` scaling keeps room, every job keeps the pace of a wedding day, guests wait a little as on any such day, and
    what is abandoned is ended every 30 s or sooner. A new plan takes the place of the one before.
    """
    plan = peak.peak_plan(expected, until - now, capacity=service.capacity())
    with database.transaction() as db:
        warmed = peak.warmed(plan, weddings.between(db, now, until))
    service.plan_peak(plan.needed, until)
    seasons.keep_pace(until)
    log.info("peak prepared", needed=plan.needed, pools=plan.pools, warmed=len(warmed), reason="asked")
    for wedding_id in warmed:
        key = f"peak/{until:%Y-%m-%dT%H}/{wedding_id}"
        requests.accept("caching.warm_up", {"wedding_id": wedding_id, "request_key": key}, caller="connections.prepare_peak")
    return plan, warmed


def end_peak() -> None:
    """End a peak before its time: room, pace and sweep are the day's again."""
    service.end_peak()
    seasons.keep_pace(None)
