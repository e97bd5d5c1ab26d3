"""The peer of benchmarks.faults: a worker of stock Celery, killed while it works."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from time import sleep
from typing import Any

from redis import Redis

from benchmarks import bare, form
from workers.processes import servers


def lost() -> form.Figures:
    """Return what stock Celery loses with its defaults: six kills of a worker that runs tasks of 10 ms."""
    with form.broker(shared=False) as url:
        os.environ["WEDOPS_BROKER_URL"] = url
        return _lost(url, tasks=1_200, kills=6)


def _lost(url: str, *, tasks: int, kills: int) -> form.Figures:
    bare.app.conf.broker_url = url
    client = Redis.from_url(url)
    for number in range(tasks):
        bare.effect.delay(number)
    words = "-m celery -A benchmarks.bare worker -Q shared -c 2 -l error"
    command = [sys.executable, *words.split()]
    start: Callable[[], Any] = lambda: subprocess.Popen(  # noqa: E731 - it is started again after each kill
        command,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=servers.die_with_parent(),
    )
    done, worker = 0, start()
    for _ in range(kills):
        form.wait_for(lambda before=done: client.scard("wedops:bench:effects") >= before + 50, within=60)  # type: ignore[misc]
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        done, worker = int(client.scard("wedops:bench:effects")), start()
    form.wait_for(lambda: client.llen("shared") == 0, within=120)
    sleep(5)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    return {"accepted": tasks, "lost": float(tasks - client.scard("wedops:bench:effects")), "kills": kills}
