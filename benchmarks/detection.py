"""Anomalies found in labelled series.

Our detector and two simple ones, scored as the Numenta Anomaly Benchmark does.

    python -m benchmarks.detection --data DIR [--json] [--thresholds FILE | --save FILE]

DIR holds NAB's series and labels; the scorer is `nab_score.py`, under tools beside DIR's parent (--tools
names another place). No detector knows a series' least and greatest value beforehand. A threshold is the same
for all series: the best one on this data, or for ours that of FILE, which --save wrote on other data.
`rolling_z` is how many standard deviations of a day's points a point is from their mean, with its best
threshold here; `three_sigma` the same as it is used, from 3 on. `us_per_point` is one core's, for 10,000
series at a time; the detail `at_default` has what an operator sees at the product's own threshold.
"""

import importlib.util
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import form
from workers.foundation import clock
from workers.measurements.rules.detector import STATE_BYTES, THRESHOLD, Detector

Scores = list[NDArray[np.float64]]
PROFILES = {"standard": "standard", "low_fp": "reward_low_FP_rate", "low_fn": "reward_low_FN_rate"}
SERIES, SWEEPS, WARM_UP = 10_000, 200, 100
#: Points that a peer looks back on: a day of most series.
WINDOW = 288


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--tools", type=Path)
    fixed = options.add_mutually_exclusive_group()
    fixed.add_argument("--thresholds", type=Path)
    fixed.add_argument("--save", type=Path)
    given = options.parse_args()
    nab = _load(given.tools or given.data.parent.parent / "tools" / "nab_score.py")
    files = nab.load(given.data)
    print(f"detection: {len(files)} series", file=sys.stderr)
    ours = _side_by_side(files)
    thresholds = json.loads(given.thresholds.read_text()) if given.thresholds else _best(nab, files, ours)
    if given.save:
        given.save.write_text(json.dumps(thresholds))
    sigmas = [_rolling_z(file.v) for file in files]
    peers = {"rolling_z": _best(nab, files, sigmas), "three_sigma": dict.fromkeys(PROFILES.values(), 0.75)}
    scored = {name: _scored(nab, files, sigmas, theirs) for name, theirs in peers.items()}
    own = _scored(nab, files, ours, thresholds)
    pace = median(_pace() for _ in range(given.runs))
    at_default = nab.ops(files, ours, THRESHOLD)
    report = {
        "schema": "wedops.bench/1",
        "name": "detection",
        "runs": given.runs,
        "figures": own | {"us_per_point": pace, "state_bytes": STATE_BYTES},
        "peers": scored,
        "ratios": {f"{name}_over_rolling_z": own[name] / scored["rolling_z"][name] for name in PROFILES},
        "details": {"series": len(files), "thresholds": thresholds, "at_default": at_default},
    }
    form.show(report, as_json=given.json)


def _side_by_side(files: list[Any]) -> Scores:
    """Return the scores of all files, the n-th points of all in one step."""
    longest = max(file.n for file in files)
    values, at = np.full((longest, len(files)), np.nan), np.zeros((longest, len(files)))
    for column, file in enumerate(files):
        values[: file.n, column], at[: file.n, column] = file.v, file.ts
    detector = Detector(len(files))
    found = np.array([detector.step(at[row], values[row]) for row in range(longest)], dtype=np.float64)
    return [found[: file.n, column] for column, file in enumerate(files)]


def _rolling_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each point's distance from the mean of those before it, in standard deviations: 3 is 0.75."""
    found = np.zeros(len(values))
    for row in range(2, len(values)):
        past = values[max(0, row - WINDOW) : row]
        sigmas = abs(values[row] - past.mean()) / (past.std() + 1e-9)
        found[row] = sigmas / (1 + sigmas)
    return found


def _best(nab: Any, files: list[Any], found: Scores) -> dict[str, float]:
    return {profile: nab.best(files, found, profile)[0] for profile in PROFILES.values()}


def _scored(nab: Any, files: list[Any], found: Scores, thresholds: dict[str, float]) -> dict[str, float]:
    return {
        name: round(nab.normalise(files, nab.raw_at(files, found, profile, thresholds[profile]), profile), 2)
        for name, profile in PROFILES.items()
    }


def _pace() -> float:
    """Return microseconds a point, the median of sweeps over many series that are past learning."""
    print(f"detection: {SWEEPS} sweeps", file=sys.stderr)
    values = np.random.default_rng(7).normal(size=(WARM_UP + SWEEPS, SERIES))
    detector, took = Detector(SERIES), []
    for row, sweep in enumerate(values):
        begun = clock.stopwatch()
        detector.step(60.0 * row, sweep)
        took.append(clock.stopwatch() - begun)
    return round(1e6 * median(took[WARM_UP:]) / SERIES, 3)


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("nab_score", path)
    if not spec or not spec.loader:
        raise SystemExit(f"{path} is no Python file; name nab_score.py with --tools")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
