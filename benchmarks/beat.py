"""Beat's punctuality and fail-over: how far from a pace two firings lie, and what a killed beat leaves open.

Ours: two beats, one of them killed half-way. Peer: Celery's own scheduler, one beat, nobody killed (it has no
second). `back_s` is how long a beat that has no second is silent when it is killed and the supervisor puts it
back. Both fire the same number of jobs at the same pace; nobody works on the queue, so its messages are the
record.
"""

import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from time import sleep

import numpy as np
import orjson

from benchmarks import form
from workers.foundation import clock, jobs
from workers.processes import servers
from workers.processes.supervisor import Supervisor

PACE, SECONDS = 5.0, 40.0


def main() -> None:
    """Print the figures."""
    with form.broker():
        form.main(
            "beat",
            {"ours": lambda: two_beats() | {"back_s": restarted()}, "celery_scheduler": _stock},
            _ratios,
            runs=3,
        )


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {
        "p99_over_celery_scheduler": medians["ours"]["p99_ms"]
        / max(0.001, medians["celery_scheduler"]["p99_ms"])
    }


def two_beats() -> form.Figures:
    """Run two beats, kill one half-way, and return how punctual their firings were."""
    from schedules.table import TABLE
    from workers.seasons import store as seasons
    from workers.seasons.rules.season import KindOfDay, Reason

    quick = {
        line.name for line in TABLE if line.wedding_day.every == PACE and line.name != "wedding_day.look"
    }
    client = form.emptied()
    seasons.publish_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR)
    with ExitStack() as stack:
        first = stack.enter_context(_beat("schedules.beat"))
        stack.enter_context(_beat("schedules.beat"))
        form.wait_for(lambda: client.zcard("wedops:beats") == 2, within=60)
        # What was due when they started is made up for at once, off its pace; that is not what this measures.
        sleep(PACE)
        client.delete("steady")
        sleep(SECONDS / 2)
        first.send_signal(signal.SIGKILL)
        sleep(SECONDS / 2)
    return _figures(client.lrange("steady", 0, -1), quick)


def restarted() -> float:
    """Return for how many seconds a beat without a second is silent when it is killed and restarted."""
    with tempfile.TemporaryDirectory() as folder:
        supervisor = Supervisor(
            Path(folder), {"beat": f"{sys.executable} {' '.join(_command('schedules.beat'))}"}
        )
        supervisor.start()
        try:
            supervisor.run(lambda: _fired_since(0.0))
            killed = clock.epoch()
            supervisor.processes[0].send(signal.SIGKILL)
            supervisor.run(lambda: _fired_since(killed))
            return min(record.fired for record in jobs.records() if record.fired > killed) - killed
        finally:
            supervisor.stop()


def _fired_since(moment: float) -> bool:
    return any(record.fired > moment for record in jobs.records())


def _stock() -> form.Figures:
    client = form.emptied()
    with _beat("benchmarks.stock_beat"):
        form.wait_for(lambda: client.llen("stock") > 0, within=60)
        sleep(SECONDS)
    return _figures(client.lrange("stock", 0, -1), None)


def _command(app: str) -> list[str]:
    return ["-m", "celery", "-A", app, "beat", "-l", "error", "-s", "/dev/null"]


@contextmanager
def _beat(app: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, *_command(app)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=servers.die_with_parent(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _figures(messages: list[str], names: set[str] | None) -> form.Figures:
    fired = defaultdict(list)
    for text in messages:
        headers = orjson.loads(text)["headers"]
        if names is None or headers["task"] in names:
            fired[headers["task"]].append(headers["enqueued_at"])
    steps = [later - earlier for moments in fired.values() for earlier, later in pairwise(sorted(moments))]
    off = np.abs(np.array(steps) - PACE) * 1000
    return {
        "p50_ms": float(np.quantile(off, 0.5)),
        "p99_ms": float(np.quantile(off, 0.99)),
        "longest_gap_s": max(steps),
        "doubles": sum(step < PACE / 2 for step in steps),
        "firings": len(steps),
    }


if __name__ == "__main__":
    main()
