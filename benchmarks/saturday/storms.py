"""The storms of a Saturday, in each of which a node dies; how long it takes until all is as it must be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
from sqlalchemy import text

from benchmarks import form
from benchmarks.saturday import world as worlds
from benchmarks.saturday.load import Load, body
from benchmarks.saturday.watching import lateness
from benchmarks.saturday.world import World
from workers.foundation import clock
from workers.weddings.rules.calendar import Phase, Wedding

#: In seconds: after this a storm is not over, and its figure says so.
PATIENCE = 240.0


@contextmanager
def storm(world: World, load: Load, found: form.Figures) -> Iterator[None]:
    """Have a node fall silent for the length of the block; add how soon it was out, how late jobs were."""
    from workers.balancing import store

    node = next(name for name in world.nodes if name not in load.silent)
    out: list[float] = []
    load.silent.add(node)

    def _wait() -> None:
        begun = clock.stopwatch()
        out.append(_until(lambda: node in store.out(), begun))

    waiting = Thread(target=_wait, daemon=True)
    waiting.start()
    with lateness() as late:
        yield
        waiting.join(PATIENCE)
    found["node_out_s"] = max(out, default=PATIENCE)
    found |= late.figures()


def alerts(world: World, load: Load, count: int) -> form.Figures:
    """Have the photo uploads of so many weddings fail; until each has its alert and people are told."""
    found: form.Figures = {}
    hurt = world.weddings[:count]
    with storm(world, load, found):
        begun = clock.stopwatch()
        for first in range(0, count, 1_000):
            load.push(body(hurt[first : first + 1_000], 12.0, ("photo_upload_seconds",), times=5))
        found["told_s"] = _until(lambda: _told() >= count, begun)
        found["alerts"] = float(_told())
        found["inhibited"] = float(_told("notified_at IS NULL"))
        found["undelivered"] = float(_unsent())
    return found


def _told(and_: str = "true") -> int:
    """Return of how many weddings' alerts people know, by the alert or by one that inhibits it."""
    alerts_of = "SELECT count(*) FROM performance_alerts WHERE kind = 'photo_upload' AND wedding_id <> '' "
    return int(_one(f"{alerts_of} AND (notified_at IS NOT NULL OR muted <> '') AND {and_}"))


def _unsent() -> int:
    return int(_one("SELECT count(*) FROM outbox WHERE kind = 'notification' AND state = 'waiting'"))


def moved(world: World, load: Load, count: int) -> form.Figures:
    """Move weddings that just began by half an hour; until phases, warm-ups, forecasts and floors follow."""
    begun_at = clock.now() - timedelta(minutes=10)
    near = [worlds.made(f"m-{number}", number, begun_at) for number in range(count)]
    worlds.take(near)
    _until(lambda: _seen(near, Phase.CEREMONY) == count, clock.stopwatch())
    later = [
        worlds.made(one.id, number, one.starts_at + timedelta(minutes=30)) for number, one in enumerate(near)
    ]
    found: form.Figures = {}
    with storm(world, load, found):
        begun = clock.stopwatch()
        version = worlds.take(later)
        found["taken_s"] = clock.stopwatch() - begun
        taken_at = clock.epoch()
        steps: dict[str, Callable[[], bool]] = {
            "phases_s": lambda: _seen(later, Phase.SETUP) == count,
            "warm_ups_s": lambda: _warmed(later) == count,
            "forecasts_s": lambda: _forecast(version),
            # The decision that follows them reads the new calendar.
            "floors_s": lambda: _decided(taken_at),
        }
        for name, condition in steps.items():
            found[name] = _until(condition, begun)
    return found


def started(world: World, load: Load, count: int) -> form.Figures:
    """Have so many weddings start at once that nobody looked at; until each is known to, and is warm."""
    found: form.Figures = {}
    now = clock.now()
    begin = [worlds.made(f"s-{number}", number, now) for number in range(count)]
    with storm(world, load, found):
        begun = clock.stopwatch()
        worlds.take(begin)
        found["taken_s"] = clock.stopwatch() - begun
        found["phases_s"] = _until(lambda: _seen(begin, Phase.CEREMONY) == count, begun)
        found["warm_ups_s"] = _until(lambda: _warmed(begin) == count, begun)
    found["all_s"] = max(found["phases_s"], found["warm_ups_s"])
    return found


def emergencies(world: World, load: Load, count: int, seconds: float) -> form.Figures:
    """Open so many emergencies in so many seconds; from the question until somebody is told, of each."""
    from workers import client

    found: form.Figures = {}
    asked: dict[str, float] = {}
    with storm(world, load, found):
        begun = clock.stopwatch()
        for number in range(count):
            sleep(max(0.0, begun + number * seconds / count - clock.stopwatch()))
            key = f"storm/{number}"
            asked[key] = clock.stopwatch()
            client.open_emergency("technical", world.weddings[number].id, request_key=key)
        _until(lambda: len(_arrived(world)) >= count, clock.stopwatch())
    arrived = _arrived(world)
    took = np.array([arrived.get(key, at + PATIENCE) - at for key, at in asked.items()])
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return found | {
        "p50_s": float(p50),
        "p99_s": float(p99),
        "max_s": float(took.max()),
        "told": len(arrived),
    }


def _arrived(world: World) -> dict[str, float]:
    """Return when the notification of each emergency arrived, by the request's key."""
    return {
        key.removeprefix("emergency/").rpartition("/")[0].rpartition("/")[0]: at
        for key, at in world.target.at.copy().items()
        if key.startswith("emergency/storm/")
    }


def _seen(weddings: list[Wedding], phase: Phase) -> int:
    from workers.wedding_day.store import looks as store

    return sum(one.phase is phase for one in store.seen([wedding.id for wedding in weddings]).values())


def _warmed(weddings: list[Wedding]) -> int:
    keys = [f"warm_up/wedding_day/{one.id}/{one.starts_at:%Y%m%dT%H%M}" for one in weddings]
    return int(_one("SELECT count(*) FROM optimization_results WHERE key = ANY(:keys)", keys=keys))


def _forecast(version: int) -> bool:
    query = (
        "SELECT count(DISTINCT region) FROM scaling_prediction_sets WHERE calendar_version >= :version "
        "AND region = ANY(:regions)"
    )
    return int(_one(query, version=version, regions=list(worlds.REGIONS))) == len(worlds.REGIONS)


def _decided(since: float) -> bool:
    from workers.foundation import jobs

    [decide] = (one for one in jobs.records() if one.name == "scaling.decide")
    return decide.finished > decide.started > since


def _one(query: str, **values: Any) -> Any:
    from workers.foundation import database

    with database.transaction() as db:
        return db.execute(text(query), values).scalar_one()


def _until(condition: Callable[[], bool], begun: float) -> float:
    """Return how long after `begun` a condition was true; PATIENCE when it was not."""
    while clock.stopwatch() - begun < PATIENCE:
        if condition():
            return clock.stopwatch() - begun
        sleep(0.1)
    return PATIENCE
