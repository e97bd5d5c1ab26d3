"""`wedops watch`: the watch over the task system, a process of its own."""

import signal
from time import sleep

import click
from redis.exceptions import RedisError

from workers.alerts.usecases import ourselves
from workers.foundation import clock, heartbeat, jobs, logs

#: In seconds: a look that takes longer hangs; and for so long after a start others may only be about to come.
LONGEST, SETTLES = 60.0, 15.0


@click.command("watch")
@click.option("--once", is_flag=True, help="Look once and end.")
def command(once: bool) -> None:
    """Look every 5 s whether jobs, beat, queues, workers, servers and clocks are as they should be; alert when not."""
    logs.configure()
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    watch, begun = ourselves.Watch(0.0 if once else clock.stopwatch() + SETTLES), [clock.stopwatch()]
    # A look at servers that stand still takes its time; one that takes longer hangs.
    heartbeat.keep(lambda: clock.stopwatch() - begun[0] < LONGEST)
    while not ended:
        due = clock.epoch()
        begun[0] = clock.stopwatch()
        watch.look()
        _record(due)
        if once:
            return
        while not ended and clock.stopwatch() < begun[0] + ourselves.EVERY:
            sleep(0.2)


def _record(due: float) -> None:
    """Leave a record among the jobs', so that others can see whether the watch runs."""
    try:
        jobs.claim(jobs.WATCH, due=due, pace=ourselves.EVERY, beat="watch")
        jobs.finish(jobs.WATCH, "ok")
    except RedisError as error:
        logs.get("alerts").warning("watch not recorded", reason="redis", detail=str(error))
