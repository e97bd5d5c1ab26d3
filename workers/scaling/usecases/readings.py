"""What is known of each resource now: measured, forecast, ordered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from workers.balancing import store as balancing
from workers.balancing.rules import Node
from workers.caching.usecases import maintenance
from workers.connections.store import peaks
from workers.forecasting.usecases import forecasts
from workers.forecasting.usecases.upper_bounds import UpperBound, upper_bounds
from workers.foundation import queues, redis, settings
from workers.foundation.moments import Moment
from workers.scaling.adapters import actuators
from workers.scaling.rules.decision import Reading
from workers.scaling.rules.leads import lead, longest_lead
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.usecases.ordered import Ordered, ordered
from workers.snapshots import rules as snapshot_rules
from workers.snapshots import store as snapshots
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import holds, weddings
from workers.weddings.store import regions as calendar_regions

#: What a cache that has to evict should be full at most.
UTILISATION = 0.75
#: The facts of a reading that are loads.
LOADS = ("load", "expected", "upper", "lately")


def readings(db: Connection, policy: Policy, *, now: Moment) -> list[Reading]:
    """Return what is known at `now` of each resource that has an actuator."""
    managed, known = actuators.managed(), ordered(db, policy, now=now)
    near = _near(db, policy, now)
    by_region = _regions(db, known, near)
    found = [reading for reading in by_region if Resource.INSTANCES in managed]
    if Resource.CONNECTION_POOL in managed:
        found += [_shared_out(reading, known) for reading in by_region]
    if by_region:
        everywhere = _together(by_region)
        shared = {Resource.DATABASE_CONNECTIONS: lambda: 0.0, Resource.CACHE_MB: _cache_pressure}
        found += [
            replace(everywhere, **known.of(EVERYWHERE, resource) | {"pressure": pressure()})
            for resource, pressure in shared.items()
            if resource in managed
        ]
    if Resource.WORKER_PROCESSES in managed:
        found.append(_workers(near, known))
    return found


def _cache_pressure() -> float:
    """Return by how much the cache is too small: its use over what it should be, once it has to evict."""
    try:
        found = maintenance.condition().structure
    except redis.UNREACHABLE:
        return 0.0
    return (found.pressure or 0.0) / UTILISATION if found and found.is_too_small else 0.0


def _near(db: Connection, policy: Policy, now: Moment) -> list[calendar.Wedding]:
    """Return the weddings that run, ended a moment ago, or start within the lead of their kind of venue."""
    ahead = weddings.between(db, now - policy.linger, now + longest_lead(policy))
    return [one for one in ahead if one.starts_at - lead(policy, one) < now]


def _regions(db: Connection, known: Ordered, near: Sequence[calendar.Wedding]) -> list[Reading]:
    now, policy = known.now, known.policy
    fresh_for = settings.read(snapshot_rules.Policy).fresh_for
    measured = {row.region: row for row in snapshots.latest(db, since=now - fresh_for)}
    left = known.left(regions := calendar_regions.known(db))
    here: dict[str, list[calendar.Wedding]] = {region: [] for region in [*regions, *left]} | _by_region(near)
    held = {one.region: one.until for one in sorted(holds.live(db, now, now), key=lambda one: one.until)}
    expected = _expected(db, {region: here[region] for region in regions}, policy, now)
    lately = snapshots.highest(db, now - policy.shrink_after, now)
    boot, unit = policy.boot_minutes, policy.negligible_load
    bounds, waiting = upper_bounds(db, regions, now=now, boot=boot, unit=unit)
    nodes = _nodes()
    strain = _strain(nodes or [], policy)
    # A snapshot lists the calendar's regions, and where anybody is; nodes that count their people themselves
    # may fall silent.
    empty = set(left) - {node.region for node in nodes} if measured and nodes is not None else set()
    found = []
    for region, ours in here.items():
        row = measured.get(region)
        # Where no wedding is left nobody is expected, whatever was forecast while there was one.
        facts = known.of(region, Resource.INSTANCES) | expected.get(region, {"expected": 0.0})
        seen = _of_weddings(ours, held.get(region), policy, now) | {
            "load": row.connections if row else 0.0 if region in empty else None,
            "lately": lately.get(region),
            "unlearned": region in waiting,
            "pressure": max(strain.get(region, 0.0), _slowness(row, policy)),
        }
        found.append(Reading(**seen | facts | _bound(bounds.get(region))))
    return found


def _of_weddings(
    ours: Sequence[calendar.Wedding], held_until: Moment | None, policy: Policy, now: Moment
) -> dict[str, Any]:
    ahead = any(one.starts_at > now for one in ours)
    ends = [one.ends_at + policy.linger for one in ours] + ([held_until] if held_until else [])
    return {"ceremony_ahead": ahead, "frozen_until": max(ends, default=None)}


def _bound(one: UpperBound | None) -> dict[str, Any]:
    return {"upper": one.load, "fit": one.version} if one else {}


def _expected(
    db: Connection, here: Mapping[str, Sequence[calendar.Wedding]], policy: Policy, now: Moment
) -> dict[str, dict[str, Any]]:
    """Return what is expected of each region within its lead.

    Its forecast, its share of a planned peak at least.
    """
    leads = {
        name: max((lead(policy, one) for one in ours), default=policy.lead) for name, ours in here.items()
    }
    ahead, share = forecasts.expected(db, leads, now=now), _peak(now) / max(1, len(here))
    found: dict[str, dict[str, Any]] = {region: {"expected": share or None} for region in here}
    for region, one in ahead.items():
        found[region] = {
            "expected": max(one.load, share),
            "quantiles": dict(one.quantiles),
            "margin": one.margin,
        }
    return found


def _by_region(near: Sequence[calendar.Wedding]) -> dict[str, list[calendar.Wedding]]:
    found: dict[str, list[calendar.Wedding]] = {}
    for one in near:
        found.setdefault(one.region, []).append(one)
    return found


def _peak(now: Moment) -> int:
    try:
        return peaks.needed(now)
    except redis.UNREACHABLE:
        return 0


def _nodes() -> list[Node] | None:
    try:
        return balancing.nodes()
    except redis.UNREACHABLE:
        return None


def _strain(nodes: Iterable[Node], policy: Policy) -> dict[str, float]:
    """Return, by region, the mean use of its nodes' processors and memory over what it should be.

    The higher of both.
    """
    by_region: dict[str, list[Node]] = {}
    for node in nodes:
        if not node.out and not node.draining:
            by_region.setdefault(node.region, []).append(node)
    return {
        region: max(
            _mean(node.cpu for node in ours) / policy.cpu, _mean(node.memory for node in ours) / policy.memory
        )
        for region, ours in by_region.items()
    }


def _mean(values: Iterable[float]) -> float:
    many = list(values)
    return sum(many) / len(many)


def _slowness(row: snapshot_rules.Snapshot | None, policy: Policy) -> float:
    if not row or row.p95_ms is None or row.connections < policy.connections_min:
        return 0.0
    return row.p95_ms / policy.latency_ms


def _shared_out(reading: Reading, known: Ordered) -> Reading:
    """Return what one instance's pool of connections has to hold."""
    each = max(1, reading.has)
    loads = {name: value / each for name in LOADS if (value := getattr(reading, name)) is not None}
    quantiles = {name: value / each for name, value in reading.quantiles.items()}
    own = known.of(reading.region, Resource.CONNECTION_POOL) | loads
    return replace(reading, pressure=0.0, quantiles=quantiles, **own)


def _together(by_region: Sequence[Reading]) -> Reading:
    """Return all regions as one.

    Where something is not known of one, it is not less than what is known of the others.
    """
    sums: dict[str, Any] = {}
    for name in LOADS:
        values = [value for reading in by_region if (value := getattr(reading, name)) is not None]
        sums[name] = sum(values) if values else None
    partly = any(getattr(reading, name) is None for name in ("load", "expected") for reading in by_region)
    return replace(
        by_region[0],
        **sums,
        pressure=0.0,
        # Quantiles of regions do not add up.
        quantiles={},
        margin=1.0,
        partly=partly,
        unlearned=any(reading.unlearned for reading in by_region),
        ceremony_ahead=any(reading.ceremony_ahead for reading in by_region),
        frozen_until=max(
            (reading.frozen_until for reading in by_region if reading.frozen_until), default=None
        ),
    )


def _workers(near: Sequence[calendar.Wedding], known: Ordered) -> Reading:
    """Return what our own workers have to do: weddings are looked at, and tasks must not wait."""
    oldest = max((queue.oldest for queue in queues.lengths_and_ages() if queue.name == "steady"), default=0.0)
    running = sum(calendar.running(wedding, now=known.now) for wedding in near)
    return Reading(
        load=float(running),
        expected=float(len(near)),
        pressure=oldest / known.policy.queue_seconds,
        frozen_until=max((wedding.ends_at + known.policy.linger for wedding in near), default=None),
        **known.of(EVERYWHERE, Resource.WORKER_PROCESSES),
    )
