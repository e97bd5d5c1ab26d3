"""Beat's punctuality and fail-over: how far from a pace two firings lie, and what a killed beat leaves open.

Ours: two beats, one of them killed half-way. Peer: Celery's own scheduler, one beat, nobody killed (it has no second).
Both fire the same number of jobs at the same pace; nobody works on the queue, so its messages are the record.
"""

import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from time import sleep

import numpy as np
import orjson

from benchmarks import form
from workers.supervision import servers

PACE, SECONDS = 5.0, 40.0


def main() -> None:
    """Print the figures."""
    with form.broker():
        form.main("beat", {"ours": _ours, "celery_scheduler": _stock}, _ratios, runs=3)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {"p99_over_celery_scheduler": medians["ours"]["p99_ms"] / max(0.001, medians["celery_scheduler"]["p99_ms"])}


def _ours() -> form.Figures:
    from schedules.table import TABLE
    from workers.seasons import store as seasons
    from workers.seasons.rules import KindOfDay, Reason

    quick = {line.name for line in TABLE if line.wedding_day.every == PACE and line.name != "wedding_day.look"}
    client = form.emptied()
    seasons.tell_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR)
    with ExitStack() as stack:
        first = stack.enter_context(_beat("schedules.beat"))
        stack.enter_context(_beat("schedules.beat"))
        form.wait_for(lambda: client.zcard("wedops:beats") == 2, within=60)
        client.delete("steady")
        sleep(SECONDS / 2)
        first.send_signal(signal.SIGKILL)
        sleep(SECONDS / 2)
    return _figures([message for message in client.lrange("steady", 0, -1)], quick)


def _stock() -> form.Figures:
    client = form.emptied()
    with _beat("benchmarks.stock_beat"):
        form.wait_for(lambda: client.llen("stock") > 0, within=60)
        sleep(SECONDS)
    return _figures(client.lrange("stock", 0, -1), None)


@contextmanager
def _beat(app: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "celery", "-A", app, "beat", "-l", "error", "-s", "/dev/null"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=servers.die_with_parent()
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
