"""What is wrong with the task system itself, from what its watch saw. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.rules.muting import INHIBITIONS

#: The latency objective of each queue: what waits longer is behind, in seconds.
LATENCY_OBJECTIVES = {"emergency": 1.0, "safety": 5.0, "steady": 30.0, "bulk": 600.0, "warm_up": 600.0}
#: Clocks that differ by more, a standby that is behind by more, a worker that is silent for longer: in
#: seconds.
SKEW, BEHIND, SILENT = 2.0, 30.0, 20.0


@dataclass(frozen=True)
class Postgres:
    """What PostgreSQL says of itself. Shares are from 0 to 1, times in seconds, `wal_held` in bytes."""

    connections: float = 0.0
    standby_behind: float = 0.0
    wal_held: int = 0
    oldest_transaction: float = 0.0
    wraparound: float = 0.0
    dead_rows: Mapping[str, float] = field(default_factory=dict)
    skew: float = 0.0
    missing_partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What the watch saw. What could not be asked is None: nothing is known of it, and nothing has ended.

    `unavailable` has what can't be worked with, and says why: it does not answer, or refuses; `queues` the
    age of the oldest message of each; `silent` each worker that does not answer, by for how long; `overdue`
    each job that beat did not fire, by how long.
    """

    unavailable: Mapping[Kind, str] = field(default_factory=dict)
    stopped: Iterable[str] | None = None
    overdue: Mapping[str, float] | None = None
    beats: int | None = None
    queues: Mapping[str, float] | None = None
    backlog: float | None = None
    silent: Mapping[str, float] | None = None
    memory: Mapping[str, float] | None = None
    settings: Mapping[str, str] | None = None
    redis_skew: float | None = None
    postgres: Postgres | None = None
    undelivered: int | None = None
    disks: Mapping[str, float] = field(default_factory=dict)


def starting(seen: Seen) -> Seen:
    """Return what is to be believed while the system may be starting.

    Beats, workers and jobs are only about to come.
    """
    return replace(seen, beats=seen.beats or None, overdue=None, silent=None, stopped=None)


def uninhibited(breaches: Sequence[Breach], unavailable: Container[Kind]) -> list[Breach]:
    """Return the breaches but those that a server which is unavailable altogether explains.

    A storm is published by its cause.
    """
    inhibited = {
        kind
        for rule in INHIBITIONS
        if rule.whole and any(one in unavailable for one in rule.sources)
        for kind in rule.targets
    }
    return [one for one in breaches if one.kind not in inhibited]


#: What of `Seen` says anything about a kind: where that could not be asked nothing is known. What is
#: unavailable is always seen.
NEEDS = {
    Kind.JOB_STOPPED: "stopped",
    Kind.BEAT_STOPPED: "overdue",
    Kind.WORKER_FROZEN: "silent",
    Kind.QUEUE_AGE: "queues",
    Kind.MEMORY: "memory",
    Kind.DATABASE: "postgres",
    Kind.STORAGE: "postgres",
    Kind.CLOCK_SKEW: "postgres",
    Kind.NOTIFICATION: "undelivered",
    Kind.BROKER: "unavailable",
    Kind.CACHE: "unavailable",
}


def evaluate(seen: Seen, policy: Policy) -> tuple[list[Breach], frozenset[Kind]]:
    """Return what is wrong, and the kinds of alert about which something is known."""
    found = [Breach(kind, kind, kind.worst, 1.0, problem) for kind, problem in seen.unavailable.items()]
    if Kind.BROKER not in seen.unavailable:
        found += _jobs(seen) + _queues(seen) + _servers(seen, policy)
    if seen.postgres is not None:
        found += _postgres(seen.postgres) + _clocks(seen)
    found += _disks(seen, policy)
    if seen.undelivered:
        found.append(
            Breach(
                Kind.NOTIFICATION,
                "undelivered",
                Kind.NOTIFICATION.worst,
                seen.undelivered,
                f"{seen.undelivered} notification(s) do not arrive",
            )
        )
    return found, frozenset(kind for kind, field in NEEDS.items() if getattr(seen, field) is not None)


def _jobs(seen: Seen) -> list[Breach]:
    found = [
        Breach(
            Kind.JOB_STOPPED,
            job,
            Kind.JOB_STOPPED.worst,
            1.0,
            f"{job} fired and did not finish, again and again",
        )
        for job in seen.stopped or ()
    ]
    late = {job: seconds for job, seconds in (seen.overdue or {}).items() if seconds > 0}
    if seen.beats == 0:
        found.append(
            Breach(
                Kind.BEAT_STOPPED, "beat", Severity.CRITICAL, 0.0, "no beat runs: nothing periodic happens"
            )
        )
    elif late:
        worst = max(late, key=lambda job: late[job])
        detail = f"beat has not fired {len(late)} job(s) that were due, {worst} for {late[worst]:.0f} s"
        found.append(Breach(Kind.BEAT_STOPPED, "beat", Severity.HIGH, late[worst], detail))
    for worker, seconds in (seen.silent or {}).items():
        detail = f"worker {worker} has not answered for {seconds:.0f} s: it is gone, or stands still"
        found.append(Breach(Kind.WORKER_FROZEN, worker, Kind.WORKER_FROZEN.worst, seconds, detail))
    return found


def _queues(seen: Seen) -> list[Breach]:
    found = []
    for queue, age in (seen.queues or {}).items():
        if age > LATENCY_OBJECTIVES[queue]:
            severity = Severity.CRITICAL if queue == "emergency" else Severity.HIGH
            found.append(
                Breach(
                    Kind.QUEUE_AGE, queue, severity, age, f"queue {queue} is {age:.0f} s behind its objective"
                )
            )
    if seen.backlog and seen.backlog > 0.5:
        detail = f"the stream of metrics is {seen.backlog:.0%} full: is the process `ingest` running?"
        found.append(Breach(Kind.QUEUE_AGE, "metrics", Severity.HIGH, seen.backlog, detail))
    return found


def _servers(seen: Seen, policy: Policy) -> list[Breach]:
    found = [
        Breach(Kind.MEMORY, name, severity, share, f"the {name} server's memory is {share:.0%} full")
        for name, share in (seen.memory or {}).items()
        if (severity := policy.severity("memory", share))
    ]
    for name, problem in (seen.settings or {}).items():
        kind = Kind.CACHE if name == "cache" else Kind.BROKER
        found.append(Breach(kind, f"{name} settings", Severity.HIGH, 1.0, f"the {name} server {problem}"))
    return found


def _postgres(seen: Postgres) -> list[Breach]:
    found = [Breach(Kind.DATABASE, *facts) for facts, limit in _measured(seen) if facts[2] > limit]
    found += [
        Breach(
            Kind.DATABASE,
            f"bloat {name}",
            Severity.MEDIUM,
            share,
            f"{share:.0%} of the rows of {name} are dead",
        )
        for name, share in seen.dead_rows.items()
    ]
    if seen.missing_partitions:
        names = ", ".join(seen.missing_partitions)
        detail = f"{names} lack a partition of today or tomorrow: run `wedops run measurements.retain`"
        found.append(Breach(Kind.STORAGE, "partitions", Severity.HIGH, 1.0, detail))
    return found


def _measured(seen: Postgres) -> Iterator[tuple[tuple[str, Severity, float, str], float]]:
    """Yield what is measured (subject, severity, value, detail), and the limit that it must not exceed."""
    used = f"{seen.connections:.0%} of PostgreSQL's connections are taken"
    yield ("connections", Severity.HIGH, seen.connections, used), 0.85
    behind = f"a standby is {seen.standby_behind:.0f} s behind"
    yield ("standby", Severity.HIGH, seen.standby_behind, behind), BEHIND
    gigabytes = seen.wal_held / 2**30
    yield ("slot", Severity.HIGH, gigabytes, f"a slot that nobody reads holds {gigabytes:.0f} GB of WAL"), 5
    open_for = f"a transaction is open for {seen.oldest_transaction:.0f} s"
    yield ("transaction", Severity.MEDIUM, seen.oldest_transaction, open_for), 600
    used = f"{seen.wraparound:.0%} of the transaction ids are used up"
    yield ("wraparound", Severity.CRITICAL, seen.wraparound, used), 0.75


def _clocks(seen: Seen) -> list[Breach]:
    skews = {"PostgreSQL": seen.postgres.skew if seen.postgres else 0.0, "the broker": seen.redis_skew or 0.0}
    return [
        Breach(
            Kind.CLOCK_SKEW,
            name,
            Kind.CLOCK_SKEW.worst,
            skew,
            f"the clock of {name} differs from this machine's by {skew:+.1f} s",
        )
        for name, skew in skews.items()
        if abs(skew) > SKEW
    ]


def _disks(seen: Seen, policy: Policy) -> list[Breach]:
    return [
        Breach(Kind.STORAGE, path, severity, share, f"the disk of {path} is {share:.0%} full")
        for path, share in seen.disks.items()
        if (severity := policy.severity("storage", share))
    ]
