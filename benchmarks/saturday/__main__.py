"""The promised Saturday: weddings that run, connections, points, and the storms that come over them.

    python -m benchmarks.saturday [--weddings 10000 --connections 200000 --nodes 40 --points 2000] [--short]

Every process of the Procfile runs under our supervisor, on servers of its own. First each job of the table is
run by itself, in a world of a tenth and in the whole one: `jobs` has its processor seconds (Python and
PostgreSQL, Valkey apart), its pace on a wedding day, and the share of a core. Then the whole runs:
`steady_cores` is processor time of all our processes a second, `gb_per_hour` what the database grows by, the
hour's roll-up included. Then the storms, in each of which a node dies. `--short` takes 20 s of calm instead
of two minutes. Nothing is sent but to this machine.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from time import sleep
from typing import Any

from benchmarks import form
from benchmarks.saturday import jobs, storms, watching, world
from benchmarks.saturday.load import Load
from workers.foundation import clock, logs

#: An hour's roll-up of so many series, once more of so many; and in a short run.
HOURS, SHORT_HOURS = (30_000, 100_000), (3_000,)


def main() -> None:
    """Print the figures."""
    options = form.parser(1)
    options.add_argument("--weddings", type=int, default=10_000)
    options.add_argument("--connections", type=int, default=200_000)
    options.add_argument("--nodes", type=int, default=40)
    options.add_argument("--points", type=int, default=2_000, help="a second")
    options.add_argument("--short", action="store_true")
    given = options.parse_args()
    logs.configure(logging.ERROR)
    with world.built() as here:
        form.show(_played(here, given), as_json=given.json)


def _played(here: world.World, given: argparse.Namespace) -> dict[str, Any]:
    tables = []
    for part in (10, 1):
        here.grow(given.weddings // part, given.connections // part, given.nodes)
        tables.append(jobs.table(here, given.points // part, rounds=1 if given.short else 4))
        print(f"saturday: jobs {tables[-1]}", file=sys.stderr)
    load = Load(here, given.points)
    with world.supervised(here) as supervisor, load.running():
        steady = _steady(here, supervisor.pid, 20 if given.short else 120)
        print(f"saturday: steady {steady}", file=sys.stderr)
        found = _stormy(here, load, given)
        memory = watching.rss_mb(watching.processes(here, supervisor.pid))
    hours = {str(series): jobs.hour(series) for series in (SHORT_HOURS if given.short else HOURS)}
    first = next(iter(hours.values()))
    rolled = first["hour_mb"] / 1e3
    figures = {
        "steady_cores": steady["cores"],
        "valkey_cores": steady["valkey_cores"],
        "gb_per_hour": round(steady["database_gb_per_hour"] + rolled, 3),
        "broker_gb_per_hour": steady["broker_gb_per_hour"],
        "load_late_s": load.late,
        **_promised(found),
        **{f"hour_{name}": first[name] for name in ("cpu_s", "page_s", "rss_mb")},
    }
    details = {"jobs": tables[1], "growth": jobs.growth(*tables), "steady": steady, "rss_mb": memory}
    return {
        **{"schema": "wedops.bench/1", "name": "saturday", "runs": 1},
        **{"figures": figures, "peers": {}, "ratios": {}},
        "details": details | {"storms": found, "hours": hours, "world": vars(given)},
    }


def _promised(found: dict[str, form.Figures]) -> form.Figures:
    """Return the storms' figures that are promised."""
    alerts, all_ = found["alerts"], found.values()
    return {
        "emergencies_p99_s": found["emergencies"]["p99_s"],
        "moved_s": max(
            found["moved"][name] for name in ("phases_s", "warm_ups_s", "forecasts_s", "floors_s")
        ),
        "started_s": found["started"]["all_s"],
        "alerts_told_s": alerts["told_s"],
        "node_out_s": max(one["node_out_s"] for one in all_),
        "watch_nodes_gap_s": max(one["watch_nodes_gap_s"] for one in all_),
        "jobs_late": sum(one["jobs_late"] for one in all_),
    }


def _steady(here: world.World, supervisor: int, seconds: float) -> dict[str, Any]:
    """Let all run for a while; return what each process took of a core, and by how much the servers grew."""
    # The first round of every job is of a morning, not of a Saturday.
    sleep(seconds / 2)
    before, sizes = watching.cpu(watching.processes(here, supervisor)), _sizes()
    begun = clock.stopwatch()
    sleep(seconds)
    took = clock.stopwatch() - begun
    after = watching.cpu(watching.processes(here, supervisor))
    cores = {name: round((after[name] - before.get(name, 0.0)) / took, 4) for name in after}
    valkey = cores["broker"] + cores["cache"]
    grown = [(now - then) / took * 3600 / 1e9 for now, then in zip(_sizes(), sizes, strict=True)]
    return {
        "cores": round(sum(cores.values()) - valkey, 3),
        "valkey_cores": round(valkey, 3),
        "database_gb_per_hour": round(grown[0], 3),
        "broker_gb_per_hour": round(grown[1], 3),
        "by_process": cores,
    }


def _sizes() -> tuple[float, float]:
    return watching.database_bytes(), watching.broker_bytes()


def _stormy(here: world.World, load: Load, given: argparse.Namespace) -> dict[str, form.Figures]:
    share = given.weddings / 10_000
    minute = 60 * (share if given.short else 1)
    play: dict[str, Callable[[], form.Figures]] = {
        "emergencies": lambda: storms.emergencies(here, load, int(500 * share), minute),
        "moved": lambda: storms.moved(here, load, int(5_000 * share)),
        "started": lambda: storms.started(here, load, int(9_000 * share)),
        "alerts": lambda: storms.alerts(here, load, int(2_000 * share)),
    }
    found = {}
    for name, storm in play.items():
        found[name] = storm()
        print(f"saturday: {name} {found[name]}", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
