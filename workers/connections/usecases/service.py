"""What is published to gateways.

Admission's limits, service levels, phases, emergency mode; and what is counted of it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from math import nan

from sqlalchemy import Connection

from workers.connections import telemetry as counted
from workers.connections.rules import levels, report
from workers.connections.rules.modes import EVERYWHERE, EmergencyMode, affects, place
from workers.connections.rules.shedding import Feature, shed
from workers.connections.store import levels as published_levels
from workers.connections.store import modes, plans, presence, quality, shedding
from workers.connections.store import registry as store
from workers.foundation import database, event_log, settings, telemetry
from workers.foundation.moments import Moment
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay
from workers.seasons.rules.venues import PROFILES
from workers.snapshots.rules import Snapshot
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

#: Who is connected belongs to a wedding that is not further off.
NEAR = timedelta(hours=24)


def near(db: Connection, *, now: Moment) -> list[Wedding]:
    """Return the weddings to which those belong who are connected now."""
    return weddings.between(db, now - NEAR, now + NEAR)


def phases(found: Iterable[Wedding], emergencies: Collection[str] = (), *, now: Moment) -> dict[str, str]:
    """Return the phase of each wedding, whether its network is weak and guests give way there.

    They do in the scopes of `emergencies`.
    """
    policy = settings.read(calendar.Policy)
    return {
        one.id: calendar.phase(one, policy, now=now)
        + (levels.WEAK if PROFILES[one.venue_type].is_weak else "")
        + (levels.IN_EMERGENCY if affects(emergencies, one.id, one.region) else "")
        for one in found
    }


def count(totals: report.Totals, rows: Iterable[Snapshot]) -> None:
    """Count for Prometheus what admission did and what was sent since the last time."""
    for row in rows:
        counted.subscriptions.labels(row.region).set(row.subscriptions)
        counted.messages.labels(row.region).inc(row.messages)
        counted.message_errors.labels(row.region).inc(row.errors)
        counted.message_bytes.labels(row.region).inc(row.bytes)
        counted.deliveries.labels(row.region).inc(row.delivered)
        counted.hopeless.labels(row.region).inc(totals.counters[f"{row.region}|hopeless"])
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


def begin_emergency_mode(scope: str, *, owner: str, reason: str, lasts: timedelta, now: Moment) -> None:
    """Have guests give way first: at a wedding, in a region or everywhere, for so long.

    Admission and service levels follow at once; who ordered it and why is kept.
    """
    known = modes.active().get(scope)
    modes.begin(scope, owner, reason, lasts.total_seconds())
    if known is None or known.owner != owner:
        at_most = timedelta(seconds=round(lasts.total_seconds()))
        event_log.note(f"emergency mode on{place(scope)}, {at_most} at most: {reason}", by=owner)
        publish_levels(now=now)


def end_emergency_mode(scope: str, *, by: str, now: Moment) -> bool:
    """Have guests give way no longer; False when they did not there."""
    ended = modes.end(scope)
    if ended:
        event_log.note(f"emergency mode off{place(scope)}", by=by)
        publish_levels(now=now)
    return ended


def emergency_modes() -> list[EmergencyMode]:
    """Return where guests give way, by whose order, why and until when."""
    return list(modes.active().values())


def publish_levels(*, now: Moment) -> None:
    """Publish what admission obeys, and what each class of users gets in the phase of their wedding."""
    store.publish_limits()
    scopes, busy = set(modes.active()), seasons.kind_of_day(now) is KindOfDay.WEDDING_DAY
    # The phases need the calendar; what does not is published before, also when that is unavailable.
    found = levels.service_levels(busy=busy, emergency=EVERYWHERE in scopes)
    published_levels.publish_levels(found)
    with database.transaction() as db:
        here, limits = near(db, now=now), plans.limits(db)
    published_levels.publish_phases(phases(here, scopes - {EVERYWHERE}, now=now))
    _publish_shed(here)
    store.publish_limits(suppliers=limits)


def _publish_shed(here: Iterable[Wedding]) -> None:
    active = shedding.active()
    found = {one.id: " ".join(shed(active, one.id, one.region)) for one in here} if active else {}
    published_levels.publish_shed({id: features for id, features in found.items() if features})


def shed_feature(scope: str, feature: Feature, *, lasts: timedelta, now: Moment) -> None:
    """Have gateways leave a feature out in a scope for so long, at once."""
    if shedding.begin(scope, feature, lasts.total_seconds()):
        _publish_shed_now(now)


def restore_feature(scope: str, feature: Feature, *, now: Moment) -> None:
    """Have gateways leave a feature out no longer."""
    shedding.end(scope, feature)
    _publish_shed_now(now)


def _publish_shed_now(now: Moment) -> None:
    with database.transaction() as db:
        here = near(db, now=now)
    _publish_shed(here)


def note_present(wedding_id: str, users: Mapping[str, str]) -> None:
    """Remember who of a wedding is online by its deployment's own Presence."""
    presence.note(wedding_id, users)
