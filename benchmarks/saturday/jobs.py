"""What each job of the table costs in this world, run by itself: processor time of Python and PostgreSQL."""

import resource
from collections.abc import Callable
from itertools import product
from statistics import fmean

import numpy as np

from benchmarks import form
from benchmarks.saturday import load
from benchmarks.saturday.watching import cpu, processes
from benchmarks.saturday.world import World
from workers.foundation import clock

#: What these cost follows from what came since they ran last, and not from how often they run.
WORKS_OFF = {
    "commands.redeliver",
    "connections.sweep",
    "measurements.detect",
    "measurements.roll_up",
    "notify.deliver",
    "wedding_day.look",
}


def table(world: World, points: int, *, rounds: int) -> dict[str, form.Figures]:
    """Return for each job `cpu_s`, `valkey_s`, `wall_s`, its pace on a wedding day, its share of a core."""
    from schedules.table import TABLE

    found: dict[str, list[form.Figures]] = {line.name: [] for line in TABLE}
    last: dict[str, float] = {}
    # The first one is of a morning, not of a Saturday.
    for number in range(rounds + 1):
        feed(world, points, number)
        for line in TABLE:
            # Nobody is to be silent meanwhile.
            load.report(world, set())
            pace, at = line.wedding_day.every, clock.stopwatch()
            # Here more may have come since the last run than at the pace of a wedding day.
            since = max(pace, at - last.get(line.name, at)) if line.name in WORKS_OFF else pace
            last[line.name] = at
            spent = _spent(world, line.job)
            share = (spent["cpu_s"] + spent["valkey_s"]) / since
            found[line.name].append(spent | {"pace_s": pace, "core": share})
    return {name: _means(runs[1:]) for name, runs in found.items()}


def _means(runs: list[form.Figures]) -> form.Figures:
    # The kernel counts a server's time by hundredths of a second: medians of short runs would be 0 or 0.01.
    return {name: round(fmean(run[name] for run in runs), 6) for name in runs[0]}


def feed(world: World, points: int, number: int) -> None:
    """Have all nodes report, all connections measured, and points come for ten seconds and be written."""
    from workers.measurements.rules.samples import Sample
    from workers.measurements.usecases import intake

    load.measure(world, 0, set(), parts=1)
    now = clock.machine_now()
    weddings = world.weddings[: max(1, points * load.POINTS // len(load.SERIES))]
    samples = [
        Sample(name, (("region", one.region), ("wedding_id", one.id)), now.timestamp() - 30 + number, value)
        for (one, name), value in zip(
            product(weddings, load.SERIES),
            np.random.default_rng(number).uniform(0.02, 0.08, len(weddings) * len(load.SERIES)).tolist(),
            strict=True,
        )
    ]
    for first in range(0, len(samples), 10_000):
        intake.take(samples[first : first + 10_000], sent_by=intake.Source(f"feed-{first}"), now=now)
    writer, taken = intake.write(intake.writer(f"feed-{number}"))
    while taken:
        writer, taken = intake.write(writer)


def _spent(world: World, job: Callable[[], None]) -> form.Figures:
    begun, before = clock.stopwatch(), _now(world)
    job()
    after = _now(world)
    return {
        "cpu_s": after["python"] + after["postgres"] - before["python"] - before["postgres"],
        "valkey_s": sum(after[name] - before[name] for name in ("broker", "cache")),
        "wall_s": clock.stopwatch() - begun,
    }


def _now(world: World) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return cpu(processes(world)) | {"python": own.ru_utime + own.ru_stime}


def hour(series: int) -> form.Figures:
    """Return what the roll-up of an hour of so many series takes."""
    from benchmarks import rollups

    rollups.fill(series, peers=False)
    return rollups.roll_up_hour()


def growth(small: dict[str, form.Figures], large: dict[str, form.Figures]) -> dict[str, float]:
    """Return by how much the shares of a core grew, of the jobs that take a while."""
    return {
        name: round(large[name]["core"] / small[name]["core"], 2)
        for name in large
        if large[name]["cpu_s"] >= 0.1 and small[name]["core"]
    }
