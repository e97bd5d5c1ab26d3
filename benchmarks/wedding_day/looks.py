"""What a look at all live weddings costs, on real servers."""

import logging
import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np
from sqlalchemy import Connection

from benchmarks import system
from benchmarks.wedding_day.worlds import Played, played
from workers.foundation import clock, database, logs
from workers.foundation.moments import Moment
from workers.wedding_day.store import days
from workers.wedding_day.usecases import readiness, watching
from workers.weddings.store import weddings

#: All of them are in the midst of it.
NOW = Moment(datetime(2026, 10, 10, 20, tzinfo=UTC))
CHANGED = 0.01


def measure(many: int, seed: int, runs: int) -> dict[str, float]:
    """Return how long a look takes, when something of one wedding in a hundred is new at each."""
    world = played(many, seed, 0.05)
    with system.started("wedding-day"):
        logs.configure(logging.ERROR)
        _book(world)
        first = _looked(NOW)
        times = []
        for number in range(1, 4 * runs + 1):
            _report(world, number)
            times.append(_looked(Moment(NOW + timedelta(seconds=10 * number))))
        ready = [_listed() for _ in range(3 * runs)]
    return {
        "look_s": round(median(wall for wall, _ in times), 2),
        "look_cpu_s": round(median(cpu for _, cpu in times), 2),
        "ready_s": round(median(ready), 2),
        "first_look_s": round(first[0], 2),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0),
    }


def _looked(now: Moment) -> tuple[float, float]:
    wall, cpu = clock.stopwatch(), _cpu()
    watching.watch(now=now)
    return clock.stopwatch() - wall, _cpu() - cpu


def _listed() -> float:
    begun = clock.stopwatch()
    readiness.upcoming(timedelta(hours=1), now=NOW)
    return clock.stopwatch() - begun


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _book(world: list[Played]) -> None:
    """Have all weddings run now, two hours after their ceremony, with what was reported by then."""
    start = Moment(NOW - timedelta(hours=2))
    booked = [
        replace(one.wedding, starts_at=start, ends_at=Moment(start + timedelta(hours=6))) for one in world
    ]
    with database.transaction() as db:
        weddings.upsert(db, booked, at=NOW)
    watching.watch(now=Moment(start - timedelta(hours=20)))
    with database.transaction() as db:
        for one in world:
            _told(db, one, start)


def _told(db: Connection, one: Played, start: Moment) -> None:
    day = one.day(120)
    for where, times in (("started", day.reported.started), ("ended", day.reported.ended)):
        for place, minutes in times.items():
            at = Moment(start + timedelta(minutes=minutes))
            days.note(db, one.wedding.id, where, one.plan.ids[place], at)


def _report(world: list[Played], number: int) -> None:
    chance = np.random.default_rng(number)
    some = chance.choice(len(world), int(CHANGED * len(world)), replace=False).tolist()
    with database.transaction() as db:
        for place in some:
            days.note(db, world[place].wedding.id, "started", "dinner", NOW)
