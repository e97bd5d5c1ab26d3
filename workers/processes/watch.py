"""The watch as a process of its own."""

import threading

from redis.exceptions import RedisError

from workers.foundation import clock, heartbeat, jobs, logs
from workers.selfwatch.usecases.watching import EVERY, Watch

#: In seconds: a look that takes longer hangs; and for so long after a start others may only be about to come.
LONGEST, SETTLES = 60.0, 15.0


def run(ended: threading.Event, *, once: bool = False) -> None:
    """Look again and again until told to end, or once."""
    watch, begun = Watch(0.0 if once else clock.stopwatch() + SETTLES), [clock.stopwatch()]
    # A look at servers that stand still takes its time; one that takes longer hangs.
    heartbeat.keep(lambda: clock.stopwatch() - begun[0] < LONGEST)
    while not ended.is_set():
        due = clock.epoch()
        begun[0] = clock.stopwatch()
        watch.look()
        _record(due)
        if once:
            return
        ended.wait(begun[0] + EVERY - clock.stopwatch())


def _record(due: float) -> None:
    """Leave a record among the jobs', so that others can see whether the watch runs."""
    try:
        jobs.claim(jobs.WATCH, due=due, pace=EVERY, beat="watch")
        jobs.finish(jobs.WATCH, "ok")
    except RedisError as error:
        logs.get("selfwatch").warning("watch not recorded", reason="redis", detail=str(error))
