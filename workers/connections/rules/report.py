"""What a snapshot of the registry says.

A row a region, and how good nodes and weddings are connected. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from workers.connections.rules.admission import UserType
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.rules.samples import Sample
from workers.snapshots.rules import BOUNDS, Snapshot, quantile

#: What a row can hold: a sum that it could not would come again for ever.
MAX = 2**62
#: Of drained counters: from when to when they were counted, in ms of the server's clock; 0 is not known.
SINCE, UNTIL = "~since", "~until"
#: What is counted of a region under its own name.
COUNTED = ("opened", "reused", "closed", "swept", "messages", "errors", "bytes", "batches", "failed_batches")


@dataclass(frozen=True)
class Share:
    """What one shard says: open connections by `kind:value`, drained counters, silent by region."""

    counts: Mapping[str, int]
    counters: Mapping[str, int]
    silent: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """The shares of all shards, added up. `seconds` is for how long counters were counted; 0 is not known."""

    counts: Counter[str]
    counters: Counter[str]
    silent: Counter[str]
    seconds: float = 0.0


def add_up(shares: Sequence[Share]) -> Totals:
    """Return the sum of all shards."""
    spans = [(share.counters.get(SINCE, 0), share.counters.get(UNTIL, 0)) for share in shares]
    known = [until - since for since, until in spans if 0 < since < until]
    totals = Totals(Counter(), Counter(), Counter(), max(known, default=0) / 1000)
    for share in shares:
        totals.counts.update(share.counts)
        totals.counters.update(share.counters)
        totals.silent.update(share.silent)
    return totals


def snapshots(
    totals: Totals, regions: Iterable[str], *, at: Moment, but: Set[str] = frozenset()
) -> list[Snapshot]:
    """Return one snapshot a region.

    Of all that have connections, had some, or are named in `regions`; not of those in `but`.
    """
    seen = {name.removeprefix("rt:").rpartition("|")[0] for name in totals.counts if name.startswith("rt:")}
    passed = {name.rpartition("|")[0] for name in totals.counters if not name.startswith("~")} - {""}
    return [_snapshot(region, totals, at) for region in sorted((seen | passed | set(regions)) - but)]


def _snapshot(region: str, totals: Totals, at: Moment) -> Snapshot:
    counters = totals.counters
    by_user_type = {str(kind): totals.counts[f"rt:{region}|{kind}"] for kind in UserType}
    rtt, connect, delivery = (
        {bound: counters[f"{region}|{what}:{bound}"] for bound in BOUNDS}
        for what in ("rtt", "connect", "delivery")
    )
    return Snapshot(
        region=region,
        at=at,
        connections=sum(by_user_type.values()),
        subscriptions=totals.counts[f"subs:{region}"],
        silent=totals.silent[region],
        p50_ms=quantile(rtt, 0.5),
        p95_ms=quantile(rtt, 0.95),
        connect_p95_ms=quantile(connect, 0.95),
        delivery_p50_ms=quantile(delivery, 0.5),
        delivery_p95_ms=quantile(delivery, 0.95),
        delivered=min(sum(delivery.values()), MAX),
        seconds=totals.seconds,
        by_user_type={kind: count for kind, count in by_user_type.items() if count},
        **{name: min(counters[f"{region}|{name}"], MAX) for name in COUNTED},
    )


def refusals(totals: Totals) -> Counter[str]:
    """Return how many were refused since the last time, by reason."""
    found: Counter[str] = Counter()
    for name, count in totals.counters.items():
        if "|refused:" in name:
            found[name.rpartition(":")[2]] += count
    return found


def scores(totals: Totals, kind: str) -> dict[str, float]:
    """Return the mean quality score, 0-100, of each node or wedding (`kind`) that was measured since."""
    start = f"~{kind}:"
    names = {name[len(start) :].rpartition("|")[0] for name in totals.counters if name.startswith(start)}
    return {
        one: totals.counters[f"{start}{one}|score"] / max(1, totals.counters[f"{start}{one}|scored"])
        for one in sorted(names)
    }


def accepted(totals: Totals) -> dict[str, int]:
    """Return how many requests got a connection since the last time.

    `opened`, and `reused` one that was there already.
    """
    return {
        how: sum(count for name, count in totals.counters.items() if name.endswith(f"|{how}"))
        for how in ("opened", "reused")
    }


@dataclass(frozen=True)
class HeavyUser:
    """A user with many messages: those of the busiest connections that are open, since each was opened."""

    user_id: str
    tenant: str
    connections: int
    messages: int
    bytes: int
    #: Messages a second since the first of them was opened; None when the clock says that this is to come.
    rate: float | None


def heaviest(
    connections: Iterable[tuple[str, int, int, int]], *, at: MachineMoment, limit: int = 10
) -> list[HeavyUser]:
    """Return the users with the most messages.

    Connections are (ref, messages, bytes, opened in epoch seconds).
    """
    users: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for ref, *facts in connections:
        tenant, user_id, _ = ref.split("/")
        users.setdefault((tenant, user_id), []).append((facts[0], facts[1], facts[2]))
    found = [_heavy(*name, facts, at.timestamp()) for name, facts in users.items()]
    return sorted(found, key=lambda one: (-one.messages, one.tenant, one.user_id))[:limit]


def _heavy(tenant: str, user_id: str, facts: list[tuple[int, int, int]], at: float) -> HeavyUser:
    messages, bytes_, opened = zip(*facts, strict=True)
    lasts = at - min(opened)
    rate = sum(messages) / max(1.0, lasts) if lasts > -1 else None
    return HeavyUser(user_id, tenant, len(facts), sum(messages), sum(bytes_), rate)


#: A share of fewer messages says nothing.
_MANY = 50


def samples(rows: Iterable[Snapshot], *, at: float) -> list[Sample]:
    """Return what detectors see of regions: 95 % of round trips in seconds, which share of messages failed.

    `at` in seconds since 1970.
    """
    found = []
    for row in rows:
        labels, sent = (("region", row.region),), row.messages + row.errors
        if row.p95_ms is not None:
            found.append(Sample("realtime_round_trip_seconds", labels, at, row.p95_ms / 1000))
        if sent >= _MANY:
            found.append(Sample("realtime_error_share", labels, at, row.errors / sent))
    return found
