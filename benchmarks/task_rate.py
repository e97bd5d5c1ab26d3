"""Tasks done a second with all our signals, headers and records, against bare Celery with the same pool.

A queue is filled before the worker starts; the rate is taken between its first and last tenth, so that
start-up does not count. `jobs` are periodic tasks: each takes and gives back its lease and writes its record.
"""

import os
from collections.abc import Callable
from typing import Any

from benchmarks import form
from workers.foundation import clock

TASKS, CHILDREN = 4000, 2


def main() -> None:
    """Print the figures."""
    with form.broker():
        contestants = {
            "ours": _ours,
            "ours_as_jobs": _jobs,
            "celery": _celery,
            "celery_our_delivery": _celery_our_delivery,
        }
        form.main("task_rate", contestants, _ratios, runs=5)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours = medians["ours"]["tasks_per_s"]
    others = {peer: figures["tasks_per_s"] for peer, figures in medians.items() if peer != "ours"}
    return {
        "ours_over_celery": ours / others["celery"],
        "ours_over_celery_our_delivery": ours / others["celery_our_delivery"],
        "jobs_over_celery": others["ours_as_jobs"] / others["celery"],
    }


def _ours() -> form.Figures:
    from benchmarks.probes import nothing

    return _rate("benchmarks.probes", "steady", lambda producer, _n: nothing.apply_async(producer=producer))


def _jobs() -> form.Figures:
    from benchmarks.probes import nothing

    def _send(producer: Any, number: int) -> object:
        job = {"name": f"connections.nothing#{number % 20}", "due": clock.epoch()}
        return nothing.apply_async(producer=producer, headers={"job": job}, expires=600)

    return _rate("benchmarks.probes", "steady", _send)


def _celery() -> form.Figures:
    from benchmarks.bare import nothing

    return _rate("benchmarks.bare", "shared", lambda producer, _n: nothing.apply_async(producer=producer))


def _celery_our_delivery() -> form.Figures:
    os.environ["BENCH_OUR_DELIVERY"] = "1"
    try:
        return _celery()
    finally:
        del os.environ["BENCH_OUR_DELIVERY"]


def _rate(app: str, queue: str, send: Callable[[Any, int], object]) -> form.Figures:
    from benchmarks import bare, probes

    client = form.emptied()
    with (probes.app if queue == "steady" else bare.app).producer_pool.acquire() as producer:
        for number in range(TASKS):
            send(producer, number)
    with form.worker(app, queue, CHILDREN):
        begun = form.wait_for(lambda: client.llen(queue) < 0.9 * TASKS, within=60)
        ended = form.wait_for(lambda: client.llen(queue) < 0.1 * TASKS, within=120)
    return {"tasks_per_s": 0.8 * TASKS / (ended - begun)}


if __name__ == "__main__":
    main()
