"""The resources, and within which bounds, by which aims and how fast they change. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import ClassVar


class Resource(StrEnum):
    """What there can be more or less of. The first two each region has, the others all regions share."""

    INSTANCES = "instances"
    CONNECTION_POOL = "connection_pool"
    DATABASE_CONNECTIONS = "database_connections"
    CACHE_MB = "cache_mb"
    WORKER_PROCESSES = "worker_processes"


SHARED = (Resource.DATABASE_CONNECTIONS, Resource.CACHE_MB, Resource.WORKER_PROCESSES)
#: A peak forecast looks half a day ahead at most.
_LONGEST = {"boot": timedelta(hours=12)}


@dataclass(frozen=True)
class Bounds:
    """From `min` to `max`, in steps of `step`.

    One of it carries a load of `carries`. `ceiling` is what nobody may allow.
    """

    min: int
    max: int
    carries: float
    step: int = 1
    ceiling: int = 0

    def holding(self, load: float, share: float = 1.0) -> int:
        """Return how many carry `load` when a `share` of each is used; not bounded from above."""
        return max(self.min, ceil(load / (self.carries * share * self.step) - 1e-9) * self.step)


@dataclass(frozen=True)
class Policy:
    """Bounds 2-10 instances, 20-100 database connections, 256-1,024 MB of cache, pools up to 1,000.

    70-75 % used is the aim. Capacity is there 2 h before a ceremony; `boot` is how long an instance takes
    until it serves. `instances_ceiling` is the most that an approval may allow, 0 for twice `instances_max`.
    `new_regions` only watch (`shadow`) until somebody lets them act (`live`).
    """

    prefix: ClassVar = "SCALING_"
    renamed: ClassVar = {
        "attempts_max": "attempts_most",
        "connections_min": "people_least",
        "users_per_database_connection": "people_per_database_connection",
        "users_per_cache_mb": "people_per_cache_mb",
    }
    also: ClassVar = {"predictive": "PREDICTIVE_SCALING_ENABLED"}

    instances_min: int = 2
    instances_max: int = 10
    instances_ceiling: int = 0
    #: In a region's peak season there is so much at least.
    instances_peak_min: int = 3
    cache_mb_peak_min: int = 512
    connections_per_instance: int = 1000
    connection_pool_min: int = 200
    connection_pool_max: int = 1000
    database_connections_min: int = 20
    database_connections_max: int = 100
    users_per_database_connection: int = 100
    cache_mb_min: int = 256
    cache_mb_max: int = 1024
    users_per_cache_mb: int = 20
    worker_processes_min: int = 2
    worker_processes_max: int = 8
    weddings_per_worker_process: int = 500
    utilisation: float = 0.72
    lead: timedelta = timedelta(hours=2)
    shrink_after: timedelta = timedelta(minutes=30)
    #: How long after its end a wedding's capacity stays: parties overrun.
    linger: timedelta = timedelta(hours=1)
    boot: timedelta = timedelta(minutes=2)
    #: What latency (95 % of round trips), processor, memory and the oldest task's wait should stay below.
    latency_ms: float = 500.0
    cpu: float = 0.75
    memory: float = 0.85
    queue_seconds: float = 5.0
    #: From so many people on a region's latency says something about the region.
    connections_min: int = 20
    #: An action has failed when it was tried so often, and is so old.
    attempts_max: int = 6
    confirm_within: timedelta = timedelta(minutes=3)
    approval_within: timedelta = timedelta(hours=2)
    new_regions: str = "shadow"
    #: Off, all is decided and written, and nothing applied.
    predictive: bool = True
    #: What an instance costs an hour, in any currency; 0: costs are told in hours of instances.
    instance_hour_price: float = 0.0
    #: What the plan of the realtime service lets in at once, all regions together; 0 is no limit.
    plan_connections: int = 0
    plan_joins_per_second: int = 0

    def __post_init__(self) -> None:
        """Refuse bounds that leave nothing to choose."""
        for resource in Resource:
            lowest, highest = getattr(self, f"{resource}_min"), getattr(self, f"{resource}_max")
            if not 1 <= lowest <= highest:
                raise ValueError(f"{resource}_min must be from 1 to {resource}_max")
            if not 0 <= self.peak_floor(resource) <= highest:
                raise ValueError(f"{resource}_peak_min must be from 0 to {resource}_max")
        if self.instances_ceiling and self.instances_ceiling < self.instances_max:
            raise ValueError("instances_ceiling must be instances_max or more, or 0 for twice as many")
        self._check_loads()
        if self.new_regions not in {"shadow", "live"}:
            raise ValueError("new_regions must be shadow or live")
        times = {name: value for name, value in vars(self).items() if isinstance(value, timedelta)}
        longest = {name: _LONGEST.get(name, timedelta(days=30)) for name in times}
        if wrong := [name for name, value in times.items() if not timedelta(0) <= value <= longest[name]]:
            raise ValueError(f"{wrong[0]} must be from 0s to {longest[wrong[0]]}")

    def _check_loads(self) -> None:
        loads = (self.connections_per_instance, self.users_per_database_connection, self.users_per_cache_mb)
        if not 0 < self.utilisation <= 1 or min(*loads, self.weddings_per_worker_process) < 1:
            raise ValueError(
                "utilisation must be above 0 and at most 1, connections_per_instance and the like 1 or more"
            )
        if not min(self.latency_ms, self.cpu, self.memory, self.queue_seconds) > 0 or self.attempts_max < 1:
            raise ValueError("latency_ms, cpu, memory, queue_seconds and attempts_max must be above 0")
        if self.connections_min < 0 or self.instance_hour_price < 0:
            raise ValueError("connections_min and instance_hour_price must be 0 or more")
        if self.plan_connections < 0 or self.plan_joins_per_second < 0:
            raise ValueError("plan_connections and plan_joins_per_second must be 0 (no limit) or more")

    @property
    def boot_minutes(self) -> int:
        """Return for how many minutes what is ordered now can't be used; 1 at least."""
        return max(1, round(self.boot.total_seconds() / 60))

    @property
    def negligible_load(self) -> float:
        """Return a load that is next to nothing: that of half an instance."""
        return self.connections_per_instance / 2

    def peak_floor(self, resource: Resource) -> int:
        """Return what there is of a resource at least in a peak season."""
        return int(getattr(self, f"{resource}_peak_min", 0))

    def bounds(self, resource: Resource) -> Bounds:
        """Return a resource's bounds.

        The load of worker processes is weddings, of a pool places, of all others people.
        """
        carries, step = {
            Resource.INSTANCES: (self.connections_per_instance, 1),
            Resource.CONNECTION_POOL: (1, 50),
            Resource.DATABASE_CONNECTIONS: (self.users_per_database_connection, 5),
            Resource.CACHE_MB: (self.users_per_cache_mb, 64),
            Resource.WORKER_PROCESSES: (self.weddings_per_worker_process, 1),
        }[resource]
        lowest, highest = getattr(self, f"{resource}_min"), getattr(self, f"{resource}_max")
        ceiling = self.instances_ceiling or 2 * highest if resource is Resource.INSTANCES else highest
        return Bounds(lowest, highest, carries, step, ceiling)
