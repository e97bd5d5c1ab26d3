"""What is known of each resource now: measured, forecast, ordered."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from workers.balancing import store as balancing
from workers.balancing.rules import Node
from workers.connections.store import service
from workers.forecasting import actions as forecasts
from workers.forecasting.actions.uppers import uppers as outlooks
from workers.foundation import queues, redis, settings
from workers.metrics import rules as measuring
from workers.metrics import store as metrics
from workers.scaling import client, store
from workers.scaling.rules import EVERYWHERE, Policy, Purpose, Reading, Resource, State
from workers.scaling.rules.orders import Kind, Mode, Order, mode
from workers.scaling.store import Action, orders
from workers.seasons import store as seasons
from workers.seasons.rules import Season
from workers.seasons.rules.venues import PROFILES
from workers.weddings import rules as calendar
from workers.weddings import store as weddings

#: The facts of a reading that are loads.
LOADS = ("load", "expected", "upper", "lately")


@dataclass(frozen=True)
class _Standing:
    """What was decided and ordered so far."""

    policy: Policy
    now: datetime
    newest: Mapping[tuple[str, str], Action]
    planned: Mapping[tuple[str, str], Action]
    orders: Mapping[str, Mapping[Kind, Order]]
    allowed: Mapping[tuple[str, str], int]
    #: Those whose time of being allowed more is over, and who have it still.
    over: frozenset[tuple[str, str]]
    #: How often something was taken away in the last day, and had to be given back.
    undone: Mapping[tuple[str, str], int]
    #: The regions whose peak season it is.
    busy: frozenset[str]

    def of(self, region: str, resource: Resource) -> dict[str, Any]:
        """Return a reading's facts about what was decided and ordered."""
        key, given = (region, resource), self.orders.get(region, {})
        shadow = mode(given, self.policy) is Mode.SHADOW
        last = self.planned.get(key)
        if last and last.purpose is Purpose.SHADOW and not shadow:
            # What was decided while it only watched was carried out by nobody.
            last = None
        return {
            "region": region,
            "resource": resource,
            "has": last.to if last else self.policy.bounds(resource).least,
            "changed_at": last.created_at if last else None,
            "shrunk_from": self._shrunk_from(last),
            "undone": self.undone.get(key, 0),
            # Never acted, or not since it was only watched: somebody else saw to it.
            "unsure": last is None and not shadow,
            "over": key in self.over,
            "follows": self.newest[key].id if key in self.newest else 0,
            "hold_in": Kind.HOLD_IN in given,
            "hold_out": Kind.HOLD_OUT in given,
            "emergency": self._emergency(given, region, resource),
            "floor": self.policy.peak_floor(resource) if self._busy(region) else 0,
            "allowed": self.allowed.get(key, 0),
            "shadow": shadow,
        }

    def _shrunk_from(self, last: Action | None) -> int:
        """Return what there was before the last action, if that took some away a short time ago and it is gone."""
        gone = last and last.purpose is Purpose.ACT and last.to < last.before and last.state in (State.APPLIED, State.CONFIRMED)
        return last.before if last and gone and self.now - last.created_at < self.policy.shrink_after else 0

    def left(self, regions: Collection[str]) -> list[str]:
        """Return the regions that have no wedding any more, and still more than the least, or an emergency."""
        more = {region for (region, kind), one in self.planned.items() if one.to > self.policy.bounds(Resource(kind)).least}
        urgent = {region for region, given in self.orders.items() if Kind.EMERGENCY in given}
        return sorted((more | urgent) - {*regions, EVERYWHERE})

    def _emergency(self, given: Mapping[Kind, Order], region: str, resource: Resource) -> int:
        """Return what an emergency wants at least: instances of a region; of what all share the whole cache."""
        if Kind.EMERGENCY not in given:
            return 0
        if resource is Resource.INSTANCES:
            return given[Kind.EMERGENCY].value
        return self.policy.bounds(resource).most if region == EVERYWHERE and resource is Resource.CACHE_MB else 0

    def _busy(self, region: str) -> bool:
        return bool(self.busy) if region == EVERYWHERE else region in self.busy


def readings(db: Connection, policy: Policy, *, now: datetime) -> list[Reading]:
    """Return what is known at `now` of each resource that has an actuator."""
    managed, standing = client.managed(), _standing(db, policy, now)
    near = _near(db, policy, now)
    by_region = _regions(db, standing, near)
    found = [reading for reading in by_region if Resource.INSTANCES in managed]
    if Resource.CONNECTION_POOL in managed:
        found += [_shared_out(reading, standing) for reading in by_region]
    if by_region:
        everywhere = _together(by_region)
        for resource in (Resource.DATABASE_CONNECTIONS, Resource.CACHE_MB):
            if resource in managed:
                found.append(replace(everywhere, **standing.of(EVERYWHERE, resource)))
    if Resource.WORKER_PROCESSES in managed:
        found.append(_workers(near, standing))
    return found


def in_shadow(db: Connection, policy: Policy, *, now: datetime, also: Iterable[str] = ()) -> list[str]:
    """Return the regions (and EVERYWHERE) whose decisions are not carried out; `also` looks at those that have no wedding."""
    given = orders.standing(db, at=now)
    regions = dict.fromkeys([*weddings.regions(db), EVERYWHERE, *given, *also])
    return [region for region in regions if mode(given.get(region, {}), policy) is Mode.SHADOW]


def failed(db: Connection, policy: Policy, *, now: datetime) -> list[Action]:
    """Return the actions that should be in effect, and that somebody carries out who could not."""
    ours = [one for one in store.failed(db) if one.resource in client.managed()]
    watched = in_shadow(db, policy, now=now, also=[one.region for one in ours])
    return [one for one in ours if one.region not in watched]


def _near(db: Connection, policy: Policy, now: datetime) -> list[calendar.Wedding]:
    """Return the weddings that run, ended a moment ago, or start within the lead of their kind of venue."""
    ahead = weddings.between(db, now - policy.linger, now + _longest(policy))
    return [one for one in ahead if one.starts_at - _lead(policy, one) < now]


def _lead(policy: Policy, wedding: calendar.Wedding) -> timedelta:
    return max(policy.lead, PROFILES[wedding.venue_type].lead)


def _longest(policy: Policy) -> timedelta:
    return max(policy.lead, *(profile.lead for profile in PROFILES.values()))


def held_regions(db: Connection, policy: Policy, now: datetime) -> set[str]:
    """Return the regions (and EVERYWHERE) from which nothing may be taken: a wedding is near or on, or somebody said so."""
    given = orders.standing(db, at=now)
    near = weddings.busy_regions(db, now - policy.linger, now + _longest(policy))
    return near | ({EVERYWHERE} if near else set()) | {region for region, kinds in given.items() if Kind.HOLD_IN in kinds}


def _standing(db: Connection, policy: Policy, now: datetime) -> _Standing:
    approved = [one for one in store.proposals(db) if one.state is State.APPROVED]
    allowed: dict[tuple[str, str], int] = {
        (one.region, one.resource): one.to for one in approved if one.until and one.until > now
    }
    over = frozenset((one.region, str(one.resource)) for one in approved if one.until and one.until <= now)
    busy = frozenset(region for region, season in seasons.current(db).items() if season is Season.PEAK)
    newest, planned = store.newest(db), store.newest(db, [Purpose.ACT, Purpose.SHADOW])
    undone = store.rolled_back(db, since=now - timedelta(days=1))
    return _Standing(policy, now, newest, planned, orders.standing(db, at=now), allowed, over, undone, busy)


def _regions(db: Connection, standing: _Standing, near: Sequence[calendar.Wedding]) -> list[Reading]:
    now, policy = standing.now, standing.policy
    fresh_for = settings.read(measuring.Policy, "METRICS_").fresh_for
    measured = {row.region: row for row in metrics.latest(db, since=now - fresh_for)}
    left = standing.left(regions := weddings.regions(db))
    here: dict[str, list[calendar.Wedding]] = {region: [] for region in [*regions, *left]} | _by_region(near)
    # Where no wedding is left nobody is expected, whatever was forecast while there was one.
    expected = _expected(db, {region: here[region] for region in regions}, policy, now) | dict.fromkeys(left, 0.0)
    lately = metrics.highest(db, now - policy.shrink_after, now)
    uppers, waiting = outlooks(db, regions, now=now, boot=policy.boot, unit=policy.connections_per_instance / 2)
    nodes, found = _nodes(), []
    strain = _strain(nodes or [], policy)
    # A snapshot lists the calendar's regions, and where anybody is; nodes that count their people themselves may fall silent.
    empty = set(left) - {node.region for node in nodes} if measured and nodes is not None else set()
    for region, ours in here.items():
        row, ends = measured.get(region), [one.ends_at + policy.linger for one in ours]
        found.append(
            Reading(
                load=row.connections if row else 0.0 if region in empty else None,
                lately=lately.get(region),
                expected=expected.get(region),
                upper=uppers.get(region),
                unlearned=region in waiting,
                pressure=max(strain.get(region, 0.0), _slowness(row, policy)),
                ceremony_ahead=any(one.starts_at > now for one in ours),
                frozen_until=max(ends, default=None),
                **standing.of(region, Resource.INSTANCES),
            )
        )
    return found


def _expected(
    db: Connection, here: Mapping[str, Sequence[calendar.Wedding]], policy: Policy, now: datetime
) -> dict[str, float]:
    """Return what the forecast, or the plan of a peak, says of each region of the calendar for which either says something."""
    leads = {name: max((_lead(policy, one) for one in ours), default=policy.lead) for name, ours in here.items()}
    found = forecasts.expected(db, leads, now=now)
    if here and (peak := _peak(now)):
        found = {region: max(found.get(region, 0.0), peak / len(here)) for region in here}
    return found


def _by_region(near: Sequence[calendar.Wedding]) -> dict[str, list[calendar.Wedding]]:
    found: dict[str, list[calendar.Wedding]] = {}
    for one in near:
        found.setdefault(one.region, []).append(one)
    return found


def _peak(now: datetime) -> int:
    try:
        return service.peak(now)
    except redis.UNREACHABLE:
        return 0


def _nodes() -> list[Node] | None:
    try:
        return balancing.nodes()
    except redis.UNREACHABLE:
        return None


def _strain(nodes: Iterable[Node], policy: Policy) -> dict[str, float]:
    """Return, by region, the mean use of its nodes' processors and memory over what it should be; the higher of both."""
    by_region: dict[str, list[Node]] = {}
    for node in nodes:
        if not node.out and not node.draining:
            by_region.setdefault(node.region, []).append(node)
    return {
        region: max(_mean(node.cpu for node in ours) / policy.cpu, _mean(node.memory for node in ours) / policy.memory)
        for region, ours in by_region.items()
    }


def _mean(values: Iterable[float]) -> float:
    many = list(values)
    return sum(many) / len(many)


def _slowness(row: measuring.Snapshot | None, policy: Policy) -> float:
    if not row or row.p95_ms is None or row.connections < policy.people_least:
        return 0.0
    return row.p95_ms / policy.latency_ms


def _shared_out(reading: Reading, standing: _Standing) -> Reading:
    """Return what one instance's pool of connections has to hold."""
    each = max(1, reading.has)
    loads = {name: value / each for name in LOADS if (value := getattr(reading, name)) is not None}
    return replace(reading, pressure=0.0, **standing.of(reading.region, Resource.CONNECTION_POOL) | loads)


def _together(by_region: Sequence[Reading]) -> Reading:
    """Return all regions as one; where something is not known of one, it is not less than what is known of the others."""
    sums: dict[str, Any] = {}
    for name in LOADS:
        values = [value for reading in by_region if (value := getattr(reading, name)) is not None]
        sums[name] = sum(values) if values else None
    partly = any(getattr(reading, name) is None for name in ("load", "expected") for reading in by_region)
    return replace(
        by_region[0],
        **sums,
        pressure=0.0,
        partly=partly,
        unlearned=any(reading.unlearned for reading in by_region),
        ceremony_ahead=any(reading.ceremony_ahead for reading in by_region),
        frozen_until=max((reading.frozen_until for reading in by_region if reading.frozen_until), default=None),
    )


def _workers(near: Sequence[calendar.Wedding], standing: _Standing) -> Reading:
    """Return what our own workers have to do: weddings are looked at, and tasks must not wait."""
    oldest = max((queue.oldest for queue in queues.lengths_and_ages() if queue.name == "steady"), default=0.0)
    running = sum(calendar.running(wedding, now=standing.now) for wedding in near)
    return Reading(
        load=float(running),
        expected=float(len(near)),
        pressure=oldest / standing.policy.queue_seconds,
        frozen_until=max((wedding.ends_at + standing.policy.linger for wedding in near), default=None),
        **standing.of(EVERYWHERE, Resource.WORKER_PROCESSES),
    )
