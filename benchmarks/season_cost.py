"""A year of weddings in three regions, played through the planner minute by minute.

Beside it: static provisioning and peers.

    python -m benchmarks.season_cost [--days 364] [--a-year 20000] [--seed 7] [--json]

The calendar is imagined from the trade's figures (workers/scaling/rules/imagined.py): Saturdays with ten
times and more of an ordinary day's weddings, some called off and moved, one storm. The planner fits itself
anew each day, from no more than what was known then, and starts with the assumed shares although people
behave otherwise. `short` is the percent of time short of capacity, `saved` what was paid less than for the
year's highest need all the time; `hpa_70` is a reactive autoscaler that aims at 70 %.
"""

import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from math import ceil

import numpy as np

from benchmarks import form
from workers.forecasting.rules.forecast import Policy as Forecasting
from workers.forecasting.rules.peak_forecast import Policy as PeakPolicy
from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Policy
from workers.simulation.rules import imagined
from workers.simulation.rules.replay import Outcome, Past, Planner, evaluate, replay, run
from workers.weddings.rules.calendar import Policy as Phases

FIRST, WARM_UP = date(2026, 4, 4), 14
STORM = date(2026, 9, 19)
#: The highest need of a region, in instances.
PEAK = 9.0


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--days", type=int, default=364)
    options.add_argument("--a-year", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    with ProcessPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(played, name, given.days, given.a_year, given.seed) for name in imagined.REGIONS
        }
        found = {name: one.result() for name, one in runs.items()}
    ours, hpa = (_mean([rows[name] for rows in found.values()]) for name in ("ours", "hpa_70"))
    report = {
        "schema": "wedops.bench/1",
        "name": "season_cost",
        "runs": given.runs,
        "figures": ours,
        "peers": {"static": {"short": 0.0, "saved": 0.0}, "hpa_70": hpa},
        "ratios": {"short_over_hpa_70": ours["short"] / hpa["short"] if hpa["short"] else 0.0},
        "details": {"days": given.days, "regions": found},
    }
    form.show(report, as_json=given.json)


def played(region: str, days: int, a_year: int, seed: int) -> dict[str, Mapping[str, float]]:
    """Return how the planner and a reactive peer did in a region."""
    print(region, file=sys.stderr)
    past, policy = _past(region, days, a_year, seed)
    first = WARM_UP * 1440
    outcome, _ = replay(Planner(past, policy, Forecasting(), PeakPolicy(every=6), Phases()), first)
    return {"ours": asdict(outcome), "hpa_70": asdict(_reactive(past, policy, first))}


def _past(region: str, days: int, a_year: int, seed: int) -> tuple[Past, Policy]:
    chance = np.random.default_rng([seed, list(imagined.REGIONS).index(region)])
    all_days = [FIRST + timedelta(days=day) for day in range(days + WARM_UP)]
    here = {region: imagined.REGIONS[region]}
    versions = imagined.calendar(
        imagined.weddings(all_days, a_year / 3, chance, here), chance, storms=[STORM]
    )
    starts_at, phases = Moment(datetime(FIRST.year, FIRST.month, FIRST.day, 8, tzinfo=UTC)), Phases()
    true, minutes = imagined.truth(Forecasting(), chance), (days + WARM_UP) * 1440
    held = imagined.took_place(versions)
    load = imagined.load(held, starts_at, minutes, true, phases, chance, crowded=[STORM])
    policy = Policy(
        connections_per_instance=ceil(float(load.max()) / PEAK), instances_max=20, instances_min=1
    )
    return Past(region, starts_at, load, imagined.Known(versions), zone=here[region]), policy


def _reactive(past: Past, policy: Policy, first: int) -> Outcome:
    """Return how an autoscaler would do that aims at 70 %, and scales in only after five calm minutes."""
    capacity, boot = float(policy.connections_per_instance), policy.boot_minutes
    needs = np.maximum(1, np.ceil(past.load / (0.7 * capacity))).astype(int)

    def wanted(minute: int, has: int) -> int:
        return max(int(needs[minute - 1]), min(has, int(needs[max(0, minute - 5) : minute].max())))

    supply, billed = run(wanted, first, len(past.load), begin=int(needs[first - 1]), boot=boot)
    return evaluate(past.load[first:], supply, billed, capacity=capacity, boot=boot)


def _mean(rows: list[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


if __name__ == "__main__":
    main()
