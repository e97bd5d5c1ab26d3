"""The periodic jobs' records: when each was due, fired, started and finished, and how it ended.

A record is a hash in Redis, written by beat when it fires and by the worker when it runs, so that the
watch can tell which job stopped, without a schedule of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from workers.foundation import clock, keys, redis

#: One that showed itself within so many seconds is alive.
ALIVE_FOR = 5.0


@dataclass(frozen=True)
class Record:
    """What is known of a job. Moments are the machine's, in epoch seconds; 0 is never."""

    name: str
    pace: float
    due: float
    fired: float
    started: float
    finished: float
    result: str
    waited: float
    runs: int
    failed: int
    late: int
    skipped: int
    unanswered: int
    #: Since when it should have run, if it never did.
    expected: float = 0.0

    @property
    def next(self) -> float:
        """Return when it should fire next."""
        return (self.due or self.expected) + self.pace

    def overdue(self, at: float) -> bool:
        """Tell whether beat let three of its moments go by, or an hour."""
        return bool(self.pace) and at > self.next + min(3 * self.pace, 3600.0)

    def stopped(self) -> bool:
        """Tell whether three firings in a row went by and no run finished: the job stopped."""
        return self.unanswered >= 3


#: The record of the process that watches all others; it is no line of a schedule.
WATCH = "watch"


def expect(paces: Mapping[str, float]) -> None:
    """Remember which jobs there are and how often each should run, so that one that never ran shows as well.

    Records of others are of a version before, and dropped; that of the watch stays.
    """
    known: set[str] = redis.registry().smembers(keys.JOBS)
    gone = known - {*paces, WATCH}
    with redis.registry().pipeline(transaction=True) as pipe:
        for name in gone:
            pipe.srem(keys.JOBS, name)
            pipe.delete(keys.job(name))
        for name, pace in paces.items():
            pipe.sadd(keys.JOBS, name)
            pipe.hset(keys.job(name), "pace", int(pace * 1000))
            pipe.hsetnx(keys.job(name), "expected", int(clock.epoch() * 1000))
        pipe.execute()


def claim(name: str, *, due: float, pace: float, beat: str) -> bool:
    """Claim the firing of `name` at `due` for one beat among many; False when it is taken."""
    redis.registry().sadd(keys.JOBS, name)
    arguments = (int(due * 1000), int(pace * 1000), int(clock.epoch() * 1000), beat)
    return bool(redis.registry().fcall("wedops_job_claim", 1, keys.job(name), *map(str, arguments)))


def unclaim(name: str, *, due: float) -> None:
    """Open a claimed moment again, for its message could not be sent."""
    redis.registry().fcall("wedops_job_unclaim", 1, keys.job(name), str(int(due * 1000)))


def begin(name: str, *, token: str, ttl: timedelta, due: float) -> int:
    """Hold the job for one run and remember its start.

    Return the fencing number, or 0 (counted) while another run has it.
    """
    at, lease = clock.epoch(), keys.lease(name)
    arguments = (token, int(ttl.total_seconds() * 1000), int(at * 1000), int(due * 1000))
    return int(
        redis.registry().fcall("wedops_job_begin", 3, lease, f"{lease}:fence", keys.job(name), *arguments)
    )


def finish(name: str, result: str, *, token: str = "") -> None:
    """Give the job back and remember how its run ended: `ok`, `failed` or the reason of an expected error."""
    arguments = (token, int(clock.epoch() * 1000), result)
    redis.registry().fcall("wedops_job_finish", 2, keys.lease(name), keys.job(name), *arguments)


#: A message that wakes a task is taken for lost after so many seconds.
WAKING_FOR = 60


def wake(name: str) -> bool:
    """Note that a message is to wake a task; False when one waits already."""
    return bool(redis.registry().set(keys.waking(name), "1", nx=True, ex=WAKING_FOR))


def woken(name: str) -> None:
    """Note that it begins: who changes something from now on wakes it again."""
    redis.registry().delete(keys.waking(name))


def late(name: str) -> None:
    """Count a run that did not happen, for it waited past its time."""
    redis.registry().hincrby(keys.job(name), "late", 1)


def beats(at: float) -> list[str]:
    """Return the beats that showed themselves within 5 s of a moment.

    One that did in its future had a wrong clock.
    """
    names: list[str] = redis.registry().zrangebyscore(keys.BEATS, at - ALIVE_FOR, at + ALIVE_FOR)
    return names


def tally(what: str, by: int = 1) -> None:
    """Count something that an operator asks for by name, e.g. `tasks_failed`."""
    redis.registry().hincrby(keys.TALLY, what, by)


def tallies() -> dict[str, int]:
    """Return all such counts."""
    return {name: int(value) for name, value in redis.registry().hgetall(keys.TALLY).items()}


def records() -> list[Record]:
    """Return every job's record, by name."""
    names = sorted(redis.registry().smembers(keys.JOBS))
    with redis.registry().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(keys.job(name))
        return [_record(name, fields) for name, fields in zip(names, pipe.execute(), strict=True)]


def _record(name: str, fields: dict[str, str]) -> Record:
    moments = ("pace", "due", "fired", "started", "finished", "waited", "expected")
    seconds = {field: int(fields.get(field, 0)) / 1000 for field in moments}
    counts = {
        field: int(fields.get(field, 0)) for field in ("runs", "failed", "late", "skipped", "unanswered")
    }
    return Record(name=name, result=fields.get("result", ""), **seconds, **counts)  # type: ignore[arg-type]
