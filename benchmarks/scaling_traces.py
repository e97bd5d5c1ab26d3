"""Scaling on real traces: our planner and its peers on nine loads, six of them with a calendar of events.

    python -m benchmarks.scaling_traces --data DIR [--json] [--boot 10] [--traces wc98-group,taylor]
    [--quantiles 0.985]

DIR holds the traces and their benches.json; the simulator, its metrics and the peers are `elastic.py`, under
tools beside DIR's parent (--tools names another place). `tau_u` is the share of time short of capacity,
`surge_u` the same within the busiest minutes, `worst15` the worst quarter of an hour's share that was not
served (all in percent), `cost` billed instances over those of a plan that knew everything. The frontier is
cost against tau_u over headrooms. `no_calendar` is ours without events, `placebo` with all of them 11 hours
late. `waste` is cost - 1 where tau_u is 0.1 %, between the quantiles that were run.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import form
from workers.forecasting.rules.events import Event
from workers.forecasting.rules.peak_forecast import Policy
from workers.simulation.rules.ahead import Planner

LATE = 11 * 60
#: In percent of the time: where frontiers are compared.
SHORT = 0.1
FIGURES = {"tau_u": "tauU", "surge_u": "surgeU", "unserved": "unserved", "worst15": "worst15", "cost": "cost"}
HEADROOMS = (0.5, 0.6, 0.7, 0.8)


class _Ours:
    def __init__(self, events: list[Event], boot: int, capacity: float, policy: Policy) -> None:
        self.events, self.planner = events, Planner(boot=boot, capacity=capacity, policy=policy)

    def decide(self, now: int, history: Any, _current: Any, _calendar: Any) -> int:
        return self.planner.decide(history, now - len(history), self.events)


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--tools", type=Path)
    options.add_argument("--boot", type=int, default=10)
    options.add_argument("--traces", default="")
    options.add_argument("--quantiles", default="0.97,0.98,0.985,0.99,0.995,0.9975")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    tools = given.tools or given.data.parent.parent / "tools" / "elastic.py"
    benches = json.loads((given.data / "benches.json").read_text())
    names = given.traces.split(",") if given.traces else [bench["name"] for bench in benches]
    quantiles = [float(text) for text in given.quantiles.split(",")]
    # Processes that each start a thread per core for small matrices wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(measure, tools, given.data, name, given.boot, quantiles) for name in names]
        found = {name: run.result() for name, run in zip(names, runs, strict=True)}
    with_calendar = {bench["name"] for bench in benches if bench["calendar"]}
    form.show(_report(found, with_calendar, given.boot), as_json=given.json)


def measure(
    tools: Path, data: Path, name: str, boot: int, quantiles: Iterable[float]
) -> dict[str, dict[str, float]]:
    """Return every contestant's figures on one trace."""
    elastic = _load(tools)
    t0, load, first, last, capacity, rows = elastic.open_bench(name, str(data))
    events = [Event(row["start"], row["end"], row["kind"], row["weight"], row["known"]) for row in rows]
    late = [replace(one, start=one.start + LATE, end=one.end + LATE) for one in events]

    def ours(calendar: list[Event], policy: Policy) -> Callable[[], Any]:
        return lambda: _Ours(calendar, boot, capacity, policy)

    contestants: dict[str, Callable[[], Any]] = {
        f"ours_{q:g}": ours(events, Policy(quantile=q)) for q in quantiles
    }
    shipped = f"{Policy().quantile:g}"
    contestants.setdefault(f"ours_{shipped}", ours(events, Policy()))
    if events:
        contestants |= {
            name.replace("ours", "no_calendar"): ours([], Policy(quantile=float(name[5:])))
            for name in contestants
        }
        contestants["placebo"] = ours(late, Policy())
    contestants |= {f"hpa_{share:g}": partial(elastic.HPA, share) for share in HEADROOMS}
    contestants |= {peer.name: partial(_same, peer) for peer in elastic.peers()}
    found = {}
    for contestant, make in contestants.items():
        print(f"{name}: {contestant}", file=sys.stderr)
        figures = elastic.simulate(load, t0, first, last, make(), capacity, rows, boot)
        found[contestant] = {ours: round(float(figures[theirs]), 4) for ours, theirs in FIGURES.items()}
    return found | {
        name: found[f"{name}_{shipped}"] for name in ("ours", "no_calendar") if f"{name}_{shipped}" in found
    }


def _same(peer: Any) -> Any:
    return peer


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("elastic", path)
    if not spec or not spec.loader:
        raise SystemExit(f"{path} is no Python file; name elastic.py with --tools")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _report(
    found: Mapping[str, Mapping[str, Mapping[str, float]]], with_calendar: set[str], boot: int
) -> dict[str, Any]:
    groups = {
        "calendar": [n for n in found if n in with_calendar],
        "no_calendar": [n for n in found if n not in with_calendar],
    }
    means = {group: _means([found[name] for name in names]) for group, names in groups.items() if names}
    first = next(iter(means))
    peers = {name: figures for name, figures in means[first].items() if name != "ours"}
    wastes = _wastes(means[first])
    return {
        "schema": "wedops.bench/1",
        "name": "scaling_traces",
        # All of it follows from the traces: a second run says the same.
        "runs": 1,
        "figures": means[first]["ours"],
        "peers": peers,
        "ratios": {f"waste_{name}": waste for name, waste in wastes.items() if waste is not None},
        "details": {"boot": boot, "means": means, "traces": found},
    }


def _wastes(means: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Return cost - 1 at SHORT of each frontier, between its points; None where they do not reach it."""
    found: dict[str, float | None] = {}
    for frontier in ("ours_", "no_calendar_", "hpa_"):
        points = sorted(
            (row["tau_u"], row["cost"] - 1) for name, row in means.items() if name.startswith(frontier)
        )
        if points:
            short, waste = zip(*points, strict=True)
            within = short[0] <= SHORT <= short[-1]
            found[frontier.rstrip("_")] = round(float(np.interp(SHORT, short, waste)), 4) if within else None
    return found


def _means(traces: list[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            figure: round(float(np.mean([trace[name][figure] for trace in traces])), 4) for figure in FIGURES
        }
        for name in traces[0]
    }


if __name__ == "__main__":
    main()
