"""From an emergency's opening until its owner's notification is handed to the target.

50,000 tasks wait and burn meanwhile. Ours: the command by its queue, the step's owner through the contacts of
the wedding, the notification by the urgent lane. Peer, in the same run: what told people before, a Celery
task `notify.deliver` on the queue that has all else (`steady_queue`).
"""

from contextlib import ExitStack
from datetime import timedelta
from time import sleep

import numpy as np

from benchmarks import form, system
from benchmarks.emergency_latency import _message, _pile
from benchmarks.urgent.scene import WAITING
from workers.foundation import clock, database
from workers.foundation.moments import Moment
from workers.notify import usecases as notify
from workers.notify.rules import Target
from workers.weddings.rules.calendar import Status, VenueType, Wedding
from workers.weddings.store import weddings

PROBES, EVERY, PEER = 100, 0.2, 20


def main() -> None:
    """Print the figures."""
    with system.started("told") as found:
        _book()
        notify.register(Target("planner", "", "pager"), found.target.url)
        contestants = {
            "ours": lambda: _measure(found, "ours", PROBES, urgent=True),
            "steady_queue": lambda: _measure(found, "steady", PEER, urgent=False),
        }
        form.main("emergency_told", contestants, _ratios, runs=1)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {"p50_over_ours": medians["steady_queue"]["p50_ms"] / medians["ours"]["p50_ms"]}


def _book() -> None:
    starts = clock.now() + timedelta(hours=2)
    local = starts.replace(tzinfo=None)
    when = local, local + timedelta(hours=6), "UTC", starts, Moment(starts + timedelta(hours=6))
    facts = 100, VenueType.GARDEN, "us-northeast", Status.CONFIRMED, ("s1",)
    names = [f"{kind}-{number}" for kind in ("ours", "steady") for number in range(PROBES)]
    with database.transaction() as db:
        weddings.upsert(db, [Wedding(name, *when, *facts) for name in names], at=clock.now())


def _measure(found: system.System, kind: str, count: int, *, urgent: bool) -> form.Figures:
    """Open so many emergencies; return how long until each owner's notification was handed over."""
    from benchmarks.probes import burn
    from workers import client
    from workers.foundation import redis

    queue = redis.registry()
    message = _message(queue, "steady", lambda: burn.apply_async(kwargs={"seconds": 0.05}, queue="steady"))
    queue.delete("steady")
    _pile(queue, "steady", message, WAITING)
    only = ["worker-emergency", *(["urgent"] if urgent else [])]
    with ExitStack() as stack:
        stack.enter_context(system.supervised(found.home, only))
        stack.enter_context(form.worker("benchmarks.probes", "steady", 2))
        client.open_emergency("weather", f"{kind}-0", request_key=f"{kind}/first")
        form.wait_for(lambda: bool(_effect(f"{kind}/first")), within=60)
        asked = _asked(kind, count, urgent=urgent)
        within = 60 if urgent else 20
        _wait(found, list(asked), within)
    waits = [_told(found, key) - at for key, at in asked.items()]
    # What is not told by then has waited at least so long.
    waited = np.array([wait if wait > 0 else within for wait in waits]) * 1000
    return {
        "p50_ms": float(np.quantile(waited, 0.5)),
        "p99_ms": float(np.quantile(waited, 0.99)),
        "over_200ms": int((waited > 200).sum()),
        "untold": int(sum(wait <= 0 for wait in waits)),
    }


def _asked(kind: str, count: int, *, urgent: bool) -> dict[str, float]:
    """Open so many, and return when each was; the peer's task is sent beside."""
    from workers import client
    from workers.app import app

    asked = {}
    for number in range(count):
        key = f"{kind}/{number}"
        asked[key] = clock.stopwatch()
        client.open_emergency("vendor", f"{kind}-{number}", request_key=key)
        if not urgent:
            app.send_task("notify.deliver", retry=False)
        sleep(EVERY)
    return asked


def _wait(found: system.System, keys: list[str], within: float) -> None:
    until = clock.stopwatch() + within
    while clock.stopwatch() < until and not all(_told(found, key) for key in keys):
        sleep(0.2)


def _effect(key: str) -> str:
    from workers import client

    request = client.find(key)
    return (request and request.effect) or ""


def _told(found: system.System, key: str) -> float:
    """Return when the owner of the first step was told; 0 before."""
    effect = _effect(key)
    id = effect.removeprefix("emergency ")
    return found.target.at.get(f"emergency/{id}/1/planner/planner/pager", 0.0)


if __name__ == "__main__":
    main()
