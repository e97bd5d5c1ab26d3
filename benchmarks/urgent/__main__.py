"""Urgent messages: from their commit to the last supplier's receipt, with 1,000 guests beside them.

python -m benchmarks.urgent --json [--messages 1000]

Figures are ms from the moment that a message's 40 rows are written to the last of 40 receipts. Both cores
burn, 50,000 tasks wait, and five times a second something goes to everybody.
"""

from typing import Any

import numpy as np

from benchmarks import form
from benchmarks.urgent import faults, peers, scene
from benchmarks.urgent.ours import cuts, measured
from workers.foundation import logs

#: Messages in whose middle a tenth of the sockets is cut, and processes that are killed.
CUTS, KILLS = 50, 30


def main() -> None:
    """Print the figures."""
    options = form.parser(1)
    options.add_argument("--messages", type=int, default=1_000)
    options.add_argument("--kills", type=int, default=KILLS)
    given = options.parse_args()
    logs.configure(40)
    with scene.stage() as stage:
        ours, waits = _measured(stage, given.messages)
        ours |= faults.killed(stage, given.kills)
    found = {name: figures(own) for name, own in waits.items() if len(own)}
    p99 = {f"p99_over_{name}": round(ours["p99_ms"] / one["p99_ms"], 3) for name, one in found.items()}
    report = {
        "schema": "wedops.bench/1",
        "name": "urgent",
        "runs": 1,
        "figures": ours,
        "peers": found,
        "ratios": p99,
    }
    form.show(report, as_json=given.json)


def _measured(stage: scene.Scene, count: int) -> tuple[form.Figures, dict[str, Any]]:
    """Return our figures, and the waits of our peers: one after the other, while the cores burn."""
    others = {}
    with scene.burning():
        with scene.guests(stage), scene.suppliers(stage) as suppliers:
            ours = figures(measured(stage, count)) | cuts(stage, suppliers, CUTS)
            others["celery_broadcast"] = peers.celery(stage, suppliers, min(100, count))
        others["socketio"] = peers.socketio(count)
        others["jetstream"] = peers.jetstream(stage, count)
    return ours, others


def figures(waits: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> form.Figures:
    """Return the quantiles of some waits in ms; NaN are those that never came."""
    came = waits[~np.isnan(waits)]
    at = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    return {
        **{name: round(float(np.quantile(came, q)), 2) for name, q in at.items()},
        "over_200ms": int((came > 200).sum()),
        "lost": int(np.isnan(waits).sum()),
    }


if __name__ == "__main__":
    main()
