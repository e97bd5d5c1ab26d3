"""The periodic jobs' records: when each was due, fired, started and finished, and how it ended.

A record is a hash in Redis, written by beat when it fires and by the worker when it runs, so that the
watch can tell which job stopped, without a schedule of its own.
"""

from dataclasses import dataclass

from workers.foundation import clock, redis

NAMES = "wedops:jobs"
TALLY = "wedops:tally"
#: The beats that run, by when each showed itself last.
BEATS = "wedops:beats"


def key(name: str) -> str:
    """Return where the record of job `name` lives."""
    return f"wedops:job:{name}"


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

    @property
    def next(self) -> float:
        """Return when it should fire next."""
        return self.due + self.pace

    def stopped(self, *, patience: int = 3) -> bool:
        """Tell whether `patience` firings in a row went by and no run finished: the job stopped."""
        return self.unanswered >= patience


def claim(name: str, *, due: float, pace: float, beat: str) -> bool:
    """Claim the firing of `name` at `due` for one beat among many; False when it is taken."""
    redis.registry().sadd(NAMES, name)
    arguments = (int(due * 1000), int(pace * 1000), int(clock.epoch() * 1000), beat)
    return bool(redis.registry().fcall("wedops_job_claim", 1, key(name), *map(str, arguments)))


def started(name: str, *, fired: float) -> None:
    """Remember that a run begins, and how long it waited."""
    at = clock.epoch()
    waited = int(max(0.0, at - fired) * 1000)
    redis.registry().hset(key(name), mapping={"started": int(at * 1000), "waited": waited})


def finished(name: str, result: str) -> None:
    """Remember how a run ended: `ok`, `failed` or the reason of an anticipated error."""
    with redis.registry().pipeline(transaction=False) as pipe:
        pipe.hset(key(name), mapping={"finished": int(clock.epoch() * 1000), "result": result, "unanswered": 0})
        pipe.hincrby(key(name), "runs", 1)
        if result == "failed":
            pipe.hincrby(key(name), "failed", 1)
        pipe.execute()


def dropped(name: str, how: str) -> None:
    """Count a run that did not happen: `late` (it waited past its time) or `skipped` (one was running)."""
    redis.registry().hincrby(key(name), how, 1)


def tally(what: str, by: int = 1) -> None:
    """Count something that an operator asks for by name, e.g. `tasks_failed`."""
    redis.registry().hincrby(TALLY, what, by)


def tallies() -> dict[str, int]:
    """Return all such counts."""
    return {name: int(value) for name, value in redis.registry().hgetall(TALLY).items()}


def records() -> list[Record]:
    """Return every job's record, by name."""
    names = sorted(redis.registry().smembers(NAMES))
    with redis.registry().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(key(name))
        return [_record(name, fields) for name, fields in zip(names, pipe.execute(), strict=True)]


def _record(name: str, fields: dict[str, str]) -> Record:
    moments = ("pace", "due", "fired", "started", "finished", "waited")
    seconds = {field: int(fields.get(field, 0)) / 1000 for field in moments}
    counts = {field: int(fields.get(field, 0)) for field in ("runs", "failed", "late", "skipped", "unanswered")}
    return Record(name=name, result=fields.get("result", ""), **seconds, **counts)  # type: ignore[arg-type]
