"""What people see of the cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.caching import keys
from workers.caching.formats import envelope
from workers.caching.formats.envelope import Poisoned
from workers.caching.rules.kinds import Ids, Kind, problem
from workers.caching.store import inspection, peaks, pending, results, server
from workers.caching.store.layers import EntryRefused
from workers.caching.usecases import sources
from workers.foundation import database, redis
from workers.foundation.errors import UNAVAILABLE, ExpectedError
from workers.foundation.moments import MachineMoment


class CacheUnavailable(ExpectedError):
    """the cache's server does not answer ({cause}); start it or mend WEDOPS_CACHE_URL"""

    exit_code = UNAVAILABLE


def require_server() -> None:
    """Raise CacheUnavailable unless the cache's server answers."""
    try:
        redis.cache_server().ping()
    except redis.UNREACHABLE as error:
        raise CacheUnavailable(cause=str(error)) from None


@dataclass(frozen=True)
class Overview:
    """The cache as it is: reads by kind and layer, findings, warm-ups, peak mode, hot entries."""

    hit_ratio: float | None
    reads: dict[str, dict[str, int]]
    findings: dict[str, Any]
    warm_ups: list[dict[str, Any]]
    waiting: int
    peak: peaks.Peak | None
    hottest: list[tuple[str, float]]


@dataclass(frozen=True)
class Shown:
    """An entry of the server, and what its source says.

    `state` is `fresh`, `stale`, `none`, or why it is refused; `made` and `fresh_until` are epoch seconds;
    `actual` is the revision of the source.
    """

    name: str
    state: str
    revision: int | None
    actual: int | None
    made: float | None
    fresh_until: float | None
    load_ms: int | None
    warmed_for: str | None
    value: Any


def overview(*, machine: MachineMoment) -> Overview:
    """Return how the cache is doing."""
    totals = server.totals()
    reads: dict[str, dict[str, int]] = {}
    for (layer, kind), many in sorted(totals.items()):
        reads.setdefault(kind, {"local": 0, "server": 0, "none": 0})[layer] = many
    every = sum(totals.values())
    missed = sum(counts["none"] for counts in reads.values())
    with database.transaction() as db:
        evaluated = results.evaluated(db, limit=10)
    return Overview(
        1 - missed / every if every else None,
        reads,
        inspection.findings(),
        evaluated,
        pending.count(),
        peaks.active(machine.timestamp()),
        server.hottest(10),
    )


def show(kind: str, *ids: str, machine: MachineMoment) -> Shown:
    """Return an entry as the server has it, whatever any process holds. Raises EntryRefused."""
    if wrong := problem(kind, ids):
        raise EntryRefused(problem=wrong)
    name, text = keys.name(kind, ids), server.get(keys.name(kind, ids))
    actual = None if kind == Kind.CONNECTION else sources.load(Kind(kind), ids).revision
    if text is None:
        return Shown(name, "none", None, actual, None, None, None, None, None)
    try:
        found = envelope.read(name, text)
    except Poisoned as error:
        return Shown(name, f"refused: {error}", None, actual, None, None, None, None, None)
    fresh = found.fresh / 1000
    return Shown(
        name,
        "fresh" if fresh > machine.timestamp() else "stale",
        found.revision,
        actual,
        found.made / 1000,
        fresh,
        found.load,
        None if found.warm == "-" else found.warm,
        found.value,
    )


def is_cold(entries: Sequence[tuple[Kind, Ids]]) -> list[bool]:
    """Tell of each entry whether the cache's server has none, so that a read has to load it."""
    return [not one for one in server.exist([keys.name(kind, ids) for kind, ids in entries])]
