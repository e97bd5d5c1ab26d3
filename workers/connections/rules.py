"""When a connection counts as silent or abandoned, where its record lives, and what a snapshot says. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from workers.metrics.rules import BOUNDS, Snapshot, quantile


class UserType(StrEnum):
    """Who is connected, in the order of priority."""

    COUPLE = "couple"
    PLANNER = "planner"
    VENDOR = "vendor"
    GUEST = "guest"


@dataclass(frozen=True)
class Policy:
    """`idle_after` ends a connection; `silent_after` (two missed heartbeats of 25-30 s) counts it as unhealthy."""

    shards: int = 64
    idle_after: timedelta = timedelta(minutes=5)
    silent_after: timedelta = timedelta(seconds=60)
    sweep_batch: int = 500

    def __post_init__(self) -> None:
        """Refuse figures that would end live connections or stall the server."""
        if not 1 <= self.shards <= 16_384:
            raise ValueError("shards must be from 1 to 16384")
        if not timedelta(0) < self.silent_after <= self.idle_after:
            raise ValueError("silent_after must be above 0 and not above idle_after")
        if not 1 <= self.sweep_batch <= 5_000:
            raise ValueError("sweep_batch must be from 1 to 5000")


def shard(tenant: str, shards: int) -> str:
    """Return the key that all records of a tenant begin with; crc32 is the one of zlib, in every language."""
    return f"wedops:{{{crc32(tenant.encode()) % shards}}}"


@dataclass(frozen=True)
class ServiceLevel:
    """What a class of people gets: the time between heartbeats, and for how long messages may be gathered."""

    heartbeat_seconds: int
    batch_ms: int


def service_levels(*, busy: bool) -> dict[UserType, ServiceLevel]:
    """Return what each user type gets; when it is busy, guests wait first and a couple never."""
    return {
        UserType.COUPLE: ServiceLevel(10, 0),
        UserType.PLANNER: ServiceLevel(10, 0),
        UserType.VENDOR: ServiceLevel(15, 50 if busy else 0),
        UserType.GUEST: ServiceLevel(25 if busy else 20, 250 if busy else 50),
    }


@dataclass(frozen=True)
class Share:
    """What one shard says: open connections by `kind:value`, what went by since the last time, the silent by region."""

    counts: Mapping[str, int]
    flow: Mapping[str, int]
    silent: Mapping[str, int]


def snapshots(shares: Iterable[Share], regions: Iterable[str], *, at: datetime) -> list[Snapshot]:
    """Return one snapshot a region, of all that have connections, had some, or are named in `regions`."""
    counts, flow, silent = Counter[str](), Counter[str](), Counter[str]()
    for share in shares:
        counts.update(share.counts)
        flow.update(share.flow)
        silent.update(share.silent)
    seen = {name.partition(":")[2] for name in counts if name.startswith("region:")}
    passed = {name.rpartition("|")[0] for name in flow}
    return [_snapshot(region, counts, flow, silent[region], at) for region in sorted(seen | passed | set(regions))]


def _snapshot(region: str, counts: Counter[str], flow: Counter[str], silent: int, at: datetime) -> Snapshot:
    rtt = {bound: flow[f"{region}|rtt:{bound}"] for bound in BOUNDS}
    names = ("opened", "closed", "swept", "messages", "errors", "bytes")
    return Snapshot(
        region=region,
        at=at,
        connections=counts[f"region:{region}"],
        silent=silent,
        p50_ms=quantile(rtt, 0.5),
        p95_ms=quantile(rtt, 0.95),
        by_user_type={str(kind): counts[f"rt:{region}|{kind}"] for kind in UserType if counts[f"rt:{region}|{kind}"]},
        **{name: flow[f"{region}|{name}"] for name in names},
    )
