"""From enqueue to the first line of an emergency's task, while 50,000 other tasks wait and burn CPU.

Ours: a queue and a worker of its own. Peers: one shared queue (measured behind SHALLOW tasks, given for
WAITING by proportion: it would take the better part of an hour), and one queue with Redis priorities at
Celery's default prefetch.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import orjson

from benchmarks import form
from workers.foundation import clock

WAITING, SHALLOW = 50_000, 400
BURN = 0.05
PROBES, EVERY = 100, 0.2


def main() -> None:
    """Print the figures."""
    with form.broker():
        contestants = {"ours": _ours, "shared_queue": _shared, "redis_priorities": _priorities}
        form.main("emergency_latency", contestants, _ratios, runs=3)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours = medians["ours"]["p99_ms"]
    return {
        f"{peer}_p99_over_ours": figures["p99_ms"] / ours
        for peer, figures in medians.items()
        if peer != "ours"
    }


def _ours() -> form.Figures:
    from benchmarks.probes import burn, probe

    client = form.emptied()
    with ExitStack() as stack:
        _pile(
            client,
            "bulk",
            _message(client, "bulk", lambda: burn.apply_async(kwargs={"seconds": BURN})),
            WAITING,
        )
        stack.enter_context(form.worker("benchmarks.probes", "emergency", 1))
        stack.enter_context(form.worker("benchmarks.probes", "bulk", 1))
        form.wait_for(lambda: client.llen("bulk") < WAITING, within=60)
        return _probe(client, lambda _at: probe.apply_async()) | {"waiting": client.llen("bulk")}


def _shared() -> form.Figures:
    from benchmarks import bare

    client = form.emptied()
    message = _message(client, "shared", lambda: bare.burn.delay(BURN))
    with form.worker("benchmarks.bare", "shared", 2):
        bare.probe.delay(clock.epoch())
        form.wait_for(lambda: client.llen("wedops:bench:waits") == 1, within=60)
        client.delete("wedops:bench:waits")
        _pile(client, "shared", message, SHALLOW)
        begun = clock.stopwatch()
        bare.probe.delay(clock.epoch())
        waited = form.wait_for(lambda: client.llen("wedops:bench:waits") == 1, within=120) - begun
    return {
        "p99_ms": waited * 1000 * WAITING / SHALLOW,
        "measured_ms": waited * 1000,
        "measured_behind": SHALLOW,
    }


def _priorities() -> form.Figures:
    from benchmarks import bare

    client = form.emptied()
    last = "shared\x06\x169"
    _pile(client, last, _message(client, last, lambda: bare.burn.apply_async((BURN,), priority=9)), WAITING)
    with form.worker("benchmarks.bare", "shared", 2):
        form.wait_for(lambda: client.llen(last) < WAITING, within=60)
        return _probe(client, lambda at: bare.probe.apply_async((at,), priority=0))


def _message(client: Any, queue: str, publish: Callable[[], object]) -> str:
    """Return a message as it was published; no worker may run yet."""
    publish()
    return str(client.lpop(queue))


def _pile(client: Any, queue: str, message: str, count: int) -> None:
    # Each with a tag and an id of its own: kombu counts what a worker holds by tag.
    tag, id = orjson.loads(message)["properties"]["delivery_tag"], orjson.loads(message)["headers"]["id"]
    for first in range(0, count, 100):
        copies = (
            message.replace(tag, f"tag-{number}").replace(id, f"id-{number}")
            for number in range(first, first + 100)
        )
        client.lpush(queue, *copies)


def _probe(client: Any, send: Callable[[float], object]) -> form.Figures:
    send(clock.epoch())
    form.wait_for(lambda: client.llen("wedops:bench:waits") == 1, within=30)
    client.delete("wedops:bench:waits")
    for number in range(1, PROBES + 1):
        at = clock.stopwatch() + EVERY
        send(clock.epoch())
        form.wait_for(lambda: clock.stopwatch() >= at, within=5)  # noqa: B023
        del number
    form.wait_for(lambda: client.llen("wedops:bench:waits") == PROBES, within=120)
    waits = np.array([float(wait) for wait in client.lrange("wedops:bench:waits", 0, -1)])
    return {
        "p50_ms": float(np.quantile(waits, 0.5)),
        "p99_ms": float(np.quantile(waits, 0.99)),
        "over_200ms": int((waits > 200).sum()),
    }


if __name__ == "__main__":
    main()
