"""The cache: reads in microseconds beside cashews, dogpile.cache and redis-py, and what must never happen.

    python -m benchmarks.cache [--json] [--operations N] [--away SECONDS]

The peers are measured where they are installed (`pip install cashews dogpile.cache`). `races`: four processes
read and write the same fifty entries, whose source takes its time, and one of them is killed every two
seconds. `wrong_reads` are older than a change that their process had heard of, `stale_fills` entries that are
older than a change that was published. `seen_p99_ms`: from a change until another process dropped its copy.
`loads_at_expiry`: how often 200 readers of four processes' caches loaded one entry. `away`: PostgreSQL is
stopped for so long; what was warm is read all the while.
"""

import logging
import sys

from benchmarks import form
from benchmarks.cache import absence, races, speed
from benchmarks.cache.servers import servers
from workers.foundation import logs


def main() -> None:
    """Measure, and print one report."""
    parser = form.parser(3)
    parser.add_argument("--operations", type=int, default=100_000, help="of the races")
    parser.add_argument("--away", type=float, default=60.0, help="seconds for which PostgreSQL is stopped")
    options = parser.parse_args()
    logs.configure(logging.ERROR)
    with servers() as postgres:
        found = speed.measure(options.runs)
        print("cache: races", file=sys.stderr)
        raced = races.race(options.operations)
        print("cache: changes, readers, PostgreSQL away", file=sys.stderr)
        told = {"seen_p99_ms": races.seen_p99_ms(), "loads_at_expiry": absence.loads_at_expiry()}
        away = absence.away(postgres, options.away)
    ours, bare = found["ours"], found["redis_py"]["server_us"]
    report = {
        "schema": "wedops.bench/1",
        "name": "cache",
        "runs": options.runs,
        "figures": ours | raced | told | away,
        "peers": {name: row for name, row in found.items() if name != "ours"},
        "ratios": {"server_over_bare_get": round(ours["server_us"] / bare, 3)},
    }
    form.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
