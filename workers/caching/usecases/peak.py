"""Peak mode: more copies, compressed bodies, more connections, hot entries held ahead; undone at its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from workers.caching import keys
from workers.caching.rules.kinds import Kind, Policy
from workers.caching.store import inspection, peaks, results, server
from workers.caching.store.layers import TwoLayers, layers
from workers.caching.store.peaks import Peak
from workers.caching.usecases import sources
from workers.connections.store import peaks as planned
from workers.foundation import clock, database, logs, settings
from workers.foundation.errors import error_code
from workers.foundation.moments import Moment

log = logs.get("caching")

KIND = "cache_peak"
#: Who orders it for a peak that was planned.
PLAN = "plan"

#: By name (`hit_ratio`, `in_memory`) a share of reads; empty where nothing was read.
Shares = dict[str, float]


@dataclass
class Optimised:
    """What peak mode did: actions in words, shares of reads before it, and what failed."""

    key: str
    until: float
    actions: list[str] = field(default_factory=list)
    before: Shares = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def order(lasts: timedelta, *, by: str, key: str) -> Peak:
    """Have all processes begin peak mode, for a while.

    Ordered again by the same it holds until the later end; by another, until the last of them ends it.
    """
    at = layers().changes.now()
    own = next((one for one in peaks.known() if one.by == by and one.until > at), None)
    until = at + lasts.total_seconds()
    found = Peak(key, until, by) if own is None else replace(own, until=max(until, own.until))
    peaks.order(found)
    return found


def optimise(lasts: timedelta, *, by: str, now: Moment, key: str = "") -> Optimised:
    """Begin peak mode; return what was done, and how reads went before."""
    policy, own = settings.read(Policy), layers()
    own.is_ready()
    ordered = order(lasts, by=by, key=key or f"peak/{by}/{now:%Y%m%dT%H%M%S}")
    found = Optimised(ordered.key, ordered.until, before=_of_late())
    try:
        peaks.apply(own, in_peak=True)
        found.actions += [
            f"{policy.local_entries_peak} copies in each process (before {policy.local_entries})",
            f"bodies above {policy.compress_above} bytes are compressed where that pays",
            f"{peaks.OPENED} connections to the cache's server opened ahead by each process",
        ]
        found.actions.append(f"{_load_hot(own)} hot entries loaded, and held by each process")
        # Processes take into memory what is in the server by now.
        server.tell(keys.MODE)
    except Exception as error:
        found.errors.append(error_code(error))
        log.warning("peak mode only in part", reason=error_code(error))
    with database.transaction() as db:
        _record(db, found, by, now)
    return found


def _record(db: Connection, found: Optimised, by: str, now: Moment) -> None:
    detail = {"actions": found.actions, "errors": found.errors, "by": by, "before": found.before}
    totals = {"|".join(name): many for name, many in server.totals().items()}
    row = results.Result(found.key, KIND, None, detail | {"entries": len(found.actions), "totals": totals})
    results.record(db, [row], at=now)


def end(*, now: Moment, by: str = "") -> dict[str, Shares] | None:
    """End peak mode, whoever ordered it, or only what `by` ordered; return how reads went `before` and in it.

    Empty where nothing is known of that; None where there was nothing to end.
    """
    ended = [one for one in peaks.known() if not by or one.by == by]
    if not ended:
        return None
    peaks.end(ended)
    peaks.follow(layers(), at=layers().changes.now())
    gains: dict[str, Shares] = {}
    with database.transaction() as db:
        for one in ended:
            gains = _settle(db, one.key, now) or gains
    return gains


def _settle(db: Connection, key: str, now: Moment) -> dict[str, Shares]:
    """Write down what peak mode gained."""
    begun = results.detail(db, key)
    if begun is None:
        return {}
    gains = {"before": begun["before"], "in_it": _since(begun["totals"])}
    results.add(db, key, {"ended_at": now.isoformat(), "gained": gains})
    return gains


def follow_plan(*, now: Moment) -> None:
    """End peak mode once its time is over; begin it for a peak of connections that was planned, once."""
    at = layers().changes.now()
    for peak in peaks.known():
        if peak.until <= at:
            log.info("peak mode ended", reason="over", by=peak.by)
            end(now=now, by=peak.by)
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


def _load_hot(own: TwoLayers) -> int:
    """Have the hottest entries in the server and here; return how many."""
    hot = peaks.hot(own.policy.local_entries_peak)
    for kind, ids in hot:
        own.get(Kind(kind), ids, partial(sources.load, Kind(kind), ids))
    return len(hot)


def _of_late() -> Shares:
    """Return how the fleet's reads went since the structure was inspected last."""
    return _since(inspection.findings().get(inspection.STRUCTURE, {}).get("totals", {}))


def _since(before: Mapping[str, int]) -> Shares:
    """Return which shares of the fleet's reads hit, and hit in memory, since the totals were `before`."""
    counts = {name: many - before.get("|".join(name), 0) for name, many in server.totals().items()}
    reads = sum(counts.values())
    in_memory, missed = (
        sum(many for (layer, _), many in counts.items() if layer == one) for one in ("local", "none")
    )
    return (
        {"hit_ratio": round(1 - missed / reads, 4), "in_memory": round(in_memory / reads, 4)} if reads else {}
    )
