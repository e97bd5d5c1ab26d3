"""What a snapshot of the registry says: a row a region, and how good nodes and weddings are connected. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from workers.connections.rules.admission import UserType
from workers.foundation.moments import Moment
from workers.snapshots.rules import BOUNDS, Snapshot, quantile

#: What a row can hold: a sum that it could not would be told again for ever.
MOST = 2**62


@dataclass(frozen=True)
class Share:
    """What one shard says: open connections by `kind:value`, what went by since the last time, the silent by region."""

    counts: Mapping[str, int]
    flow: Mapping[str, int]
    silent: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """The shares of all shards, added up."""

    counts: Counter[str]
    flow: Counter[str]
    silent: Counter[str]


def add_up(shares: Iterable[Share]) -> Totals:
    """Return the sum of all shards."""
    totals = Totals(Counter(), Counter(), Counter())
    for share in shares:
        totals.counts.update(share.counts)
        totals.flow.update(share.flow)
        totals.silent.update(share.silent)
    return totals


def snapshots(totals: Totals, regions: Iterable[str], *, at: Moment, but: Set[str] = frozenset()) -> list[Snapshot]:
    """Return one snapshot a region, of all that have connections, had some, or are named in `regions` and not in `but`."""
    seen = {name.removeprefix("rt:").rpartition("|")[0] for name in totals.counts if name.startswith("rt:")}
    passed = {name.rpartition("|")[0] for name in totals.flow if not name.startswith("~")} - {""}
    return [_snapshot(region, totals, at) for region in sorted((seen | passed | set(regions)) - but)]


def _snapshot(region: str, totals: Totals, at: Moment) -> Snapshot:
    flow, by_user_type = totals.flow, {str(kind): totals.counts[f"rt:{region}|{kind}"] for kind in UserType}
    rtt = {bound: flow[f"{region}|rtt:{bound}"] for bound in BOUNDS}
    names = ("opened", "closed", "swept", "messages", "errors", "bytes")
    return Snapshot(
        region=region,
        at=at,
        connections=sum(by_user_type.values()),
        subscriptions=totals.counts[f"subs:{region}"],
        silent=totals.silent[region],
        p50_ms=quantile(rtt, 0.5),
        p95_ms=quantile(rtt, 0.95),
        by_user_type={kind: count for kind, count in by_user_type.items() if count},
        **{name: min(flow[f"{region}|{name}"], MOST) for name in names},
    )


def refusals(totals: Totals) -> Counter[str]:
    """Return how many were refused since the last time, by reason."""
    found: Counter[str] = Counter()
    for name, count in totals.flow.items():
        if "|refused:" in name:
            found[name.rpartition(":")[2]] += count
    return found


def scores(totals: Totals, kind: str) -> dict[str, float]:
    """Return the mean quality score, 0-100, of each node or wedding (`kind`) that was measured since the last time."""
    start = f"~{kind}:"
    who = {name[len(start) :].rpartition("|")[0] for name in totals.flow if name.startswith(start)}
    return {one: totals.flow[f"{start}{one}|score"] / max(1, totals.flow[f"{start}{one}|scored"]) for one in sorted(who)}


def accepted(totals: Totals) -> dict[str, int]:
    """Return how many requests got a connection since the last time: `opened`, and `reused` one that was there already."""
    return {how: sum(count for name, count in totals.flow.items() if name.endswith(f"|{how}")) for how in ("opened", "reused")}
