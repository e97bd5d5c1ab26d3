"""What is published to gateways.

Admission's limits, service levels, phases, emergency mode; and what is counted of it.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from math import nan

from workers.connections import telemetry as counted
from workers.connections.rules import levels, report
from workers.connections.store import levels as published_levels
from workers.connections.store import plans, presence, quality
from workers.connections.store import registry as store
from workers.foundation import database, event_log, settings, telemetry
from workers.foundation.moments import Moment
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay
from workers.snapshots.rules import Snapshot
from workers.weddings import rules as calendar
from workers.weddings.store import weddings

#: Who is connected belongs to a wedding that is not further off.
NEAR = timedelta(hours=24)


def phases(now: Moment) -> dict[str, str]:
    """Return the phase of every wedding that is near."""
    policy = settings.read(calendar.Policy)
    with database.transaction() as db:
        near = weddings.between(db, now - NEAR, now + NEAR)
    return {wedding.id: str(calendar.phase(wedding, policy, now=now)) for wedding in near}


def count(totals: report.Totals, rows: Iterable[Snapshot]) -> None:
    """Count for Prometheus what admission did and what was sent since the last time."""
    for row in rows:
        counted.subscriptions.labels(row.region).set(row.subscriptions)
        counted.messages.labels(row.region).inc(row.messages)
        counted.message_errors.labels(row.region).inc(row.errors)
        counted.message_bytes.labels(row.region).inc(row.bytes)
        counted.deliveries.labels(row.region).inc(row.delivered)
        counted.batches.labels(row.region, "ok").inc(max(0, row.batches - row.failed_batches))
        counted.batches.labels(row.region, "failed").inc(row.failed_batches)
        _count_times(row)
    for reason, many in report.refusals(totals).items():
        telemetry.refusals.labels("connection", reason).inc(many)
    for how, many in report.accepted(totals).items():
        counted.admissions.labels(how).inc(many)
    for node, score in report.scores(totals, "node").items():
        counted.quality.labels(node).set(score)
    quality.note(report.scores(totals, "wedding"))


def _count_times(row: Snapshot) -> None:
    # NaN is how Prometheus says `not measured`.
    for quantile, value in (("0.5", row.p50_ms), ("0.95", row.p95_ms)):
        counted.rtt_ms.labels(row.region, quantile).set(nan if value is None else value)
    delivery = ("delivery", "0.5", row.delivery_p50_ms), ("delivery", "0.95", row.delivery_p95_ms)
    for what, quantile, value in (("connect", "0.95", row.connect_p95_ms), *delivery):
        counted.latency_ms.labels(row.region, what, quantile).set(nan if value is None else value)


def set_emergency_mode(on: bool, *, by: str, now: Moment) -> None:
    """Have guests give way first, or no longer.

    Admission and service levels follow at once; who ordered it is kept.
    """
    store.set_emergency_mode(on, by=f"{by} since {now:%Y-%m-%d %H:%M}Z")
    event_log.note(f"emergency mode {'on' if on else 'off'}", by=by)
    publish_levels(now=now)


def publish_levels(*, now: Moment) -> None:
    """Publish what admission obeys, and what each class of users gets in the phase of their wedding."""
    store.publish_limits()
    emergency, busy = bool(store.emergency_mode()), seasons.kind_of_day(now) is KindOfDay.WEDDING_DAY
    # The phases need the calendar; what does not is published before, also when that is unavailable.
    published_levels.publish_levels(levels.service_levels(busy=busy, emergency=emergency))
    published_levels.publish_phases(phases(now))
    with database.transaction() as db:
        limits = plans.limits(db)
    store.publish_limits(suppliers=limits)


def note_present(wedding_id: str, users: Mapping[str, str]) -> None:
    """Remember who of a wedding is online by its deployment's own Presence."""
    presence.note(wedding_id, users)
