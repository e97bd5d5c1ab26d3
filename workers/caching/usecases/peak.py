"""Peak mode: more copies, compressed bodies, more connections, hot entries held ahead; undone at its end."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from statistics import median

from sqlalchemy import Connection

from workers.caching.rules.kinds import Ids, Kind, Policy
from workers.caching.store import peaks, results, server
from workers.caching.store.layers import TwoLayers, layers
from workers.caching.store.local import Key
from workers.caching.store.peaks import Peak
from workers.caching.usecases import sources
from workers.connections.store import peaks as planned
from workers.foundation import clock, database, logs, settings
from workers.foundation.errors import error_code
from workers.foundation.moments import Moment

log = logs.get("caching")

#: So many of the hottest entries are read to measure what a read takes.
PROBED = 100
KIND = "cache_peak"
#: Who orders it for a peak that was planned.
PLAN = "plan"


@dataclass
class Optimised:
    """What peak mode did: actions in words, gains as (before, after), and what failed."""

    key: str
    until: float
    actions: list[str] = field(default_factory=list)
    gains: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def order(lasts: timedelta, *, by: str, key: str) -> Peak:
    """Have all processes begin peak mode, for a while; where it holds, until the later end."""
    at = layers().changes.now()
    active = peaks.active(at)
    until = max(at + lasts.total_seconds(), active.until if active else 0.0)
    found = Peak(active.key if active else key, until, active.by if active else by)
    peaks.order(found)
    return found


def optimise(lasts: timedelta, *, by: str, now: Moment, key: str = "") -> Optimised:
    """Begin peak mode; return what was done and what this process gained.

    Ordered again while it holds, it holds until the later end.
    """
    policy, own = settings.read(Policy), layers()
    own.is_ready()
    hot = peaks.hot(policy.local_entries_peak)
    before = _probe(own, hot[:PROBED])
    ordered = order(lasts, by=by, key=key or f"peak/{now:%Y%m%dT%H%M%S}")
    found = Optimised(ordered.key, ordered.until)
    try:
        peaks.apply(own, in_peak=True)
        found.actions += [
            f"{policy.local_entries_peak} copies in each process (before {policy.local_entries})",
            f"bodies above {policy.compress_above} bytes are compressed where that pays",
            f"{own.loaders} loads at once in each process, their connections opened ahead",
            f"{_load_hot(own, hot)} hot entries loaded, and held by each process",
        ]
    except Exception as error:
        found.errors.append(error_code(error))
        log.warning("peak mode only in part", reason=error_code(error))
    found.gains["read_us"] = (before, _probe(own, hot[:PROBED]))
    found.gains["hit_ratio"] = (_hit_ratio(server.totals()), None)
    _record(found, by, now)
    return found


def _record(found: Optimised, by: str, now: Moment) -> None:
    detail = {"actions": found.actions, "errors": found.errors, "by": by, "gains": found.gains}
    totals = {"|".join(name): many for name, many in server.totals().items()}
    with database.transaction() as db:
        row = results.Result(
            found.key, KIND, None, detail | {"entries": len(found.actions), "totals": totals}
        )
        results.record(db, [row], at=now)


def end(*, now: Moment, by: str = "") -> dict[str, float | None]:
    """End peak mode; return the hit ratio before it and while it held.

    Nothing where it does not hold, or another than `by` ordered it.
    """
    peak = peaks.known()
    if peak is None or (by and peak.by != by):
        return {}
    peaks.end()
    peaks.apply(layers(), in_peak=False)
    with database.transaction() as db:
        return _settle(db, peak.key, now)


def _settle(db: Connection, key: str, now: Moment) -> dict[str, float | None]:
    """Write down what peak mode gained."""
    begun = results.detail(db, key)
    if begun is None:
        return {}
    before = begun["totals"]
    while_it_held = {name: many - before.get("|".join(name), 0) for name, many in server.totals().items()}
    gains = {"hit_ratio_before": begun["gains"]["hit_ratio"][0], "hit_ratio": _hit_ratio(while_it_held)}
    results.add(db, key, {"ended_at": now.isoformat(), "gained": gains})
    return gains


def follow_plan(*, now: Moment) -> None:
    """End peak mode once its time is over; begin it for a peak of connections that was planned, once."""
    peak, at = peaks.known(), layers().changes.now()
    if peak and peak.until <= at:
        log.info("peak mode ended", reason="over")
        end(now=now)
    _, until = planned.planned()
    if until is None or until <= now or peaks.active(at):
        return
    key = f"peak/{PLAN}/{until:%Y%m%dT%H%M}"
    with database.transaction() as db:
        # Who ended it before its time has the last word.
        known = results.detail(db, key)
    if known is None:
        log.info("peak mode begins", reason="planned")
        optimise(clock.of_the_machine(until - now), by=PLAN, now=now, key=key)


def _load_hot(own: TwoLayers, hot: list[Key]) -> int:
    """Have the hottest entries in the server and here; return how many."""
    for kind, ids in hot:
        _read(own, Kind(kind), ids)
    return len(hot)


def _probe(own: TwoLayers, hot: list[Key]) -> float | None:
    """Return how many microseconds a read of a hot entry takes here, the median; None when there is none."""
    times = []
    for kind, ids in hot:
        begun = clock.stopwatch()
        _read(own, Kind(kind), ids)
        times.append(clock.stopwatch() - begun)
    return round(median(times) * 1e6, 1) if times else None


def _read(own: TwoLayers, kind: Kind, ids: Ids) -> None:
    own.get(kind, ids, partial(sources.load, kind, ids))


def _hit_ratio(totals: dict[tuple[str, str], int]) -> float | None:
    reads = sum(totals.values())
    missed = sum(many for (layer, _), many in totals.items() if layer == "none")
    return round(1 - missed / reads, 4) if reads else None
