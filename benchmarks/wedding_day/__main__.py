"""Ten thousand wedding days that never were, watched from the first preparations to the dancing.

    python -m benchmarks.wedding_day [--json] [--weddings N] [--past N] [--seed S] [--forgotten SHARE]

How days go, workers/simulation/rules/days.py says, with its assumptions; the forecast is fitted on `--past`
days of another seed. A critical moment that starts more than 15 minutes late counts as late;
`warned_share` of these was warned of before it started (`warned_share_5_more`: of those that are 5 minutes
later still), `lead_p50_min` ahead, `false_per_100` is how many
warnings of 100 weddings were of moments that were in time after all. `p90_covers` is which share of all
moments to come started by their upper bound. Peers warn as often wrongly, at most: at the delay that is known
now; at that and what is usual from there on (`mean_delay`); and our own way with means in the place of
distributions (`mean_path`). `look_s` is one look of the job at as many weddings as are live, on real
servers: rows read, forecast, written; `look_cpu_s` is this process's share of it. `ready_s` is the go / no-go
list of all of them.
"""

from benchmarks import form
from benchmarks.wedding_day import looks, warned
from workers.wedding_day.rules.deviations import Policy


def main() -> None:
    """Print the figures."""
    parser = form.parser(1)
    parser.add_argument("--weddings", type=int, default=10_000)
    parser.add_argument("--past", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--forgotten", type=float, default=0.05)
    given = parser.parse_args()
    ours, peers, details = warned.measure(given.weddings, given.past, given.seed, given.forgotten, Policy())
    report = {
        "schema": "wedops.bench/1",
        "name": "wedding_day",
        "runs": given.runs,
        "figures": ours | looks.measure(given.weddings, given.seed, given.runs),
        "peers": peers,
        "ratios": {
            f"warned_over_{name}": round(ours["warned_share"] / max(0.001, found["warned_share"]), 2)
            for name, found in peers.items()
        },
        "details": details,
    }
    form.show(report, as_json=given.json)


if __name__ == "__main__":
    main()
