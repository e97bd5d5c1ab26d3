"""The roll-up of an hour: 60 minutes of each series, six values a minute, become one row each.

    python -m benchmarks.rollups [--series 30000] [--json]

`cpu_s` is processor time of Python and PostgreSQL together, `page_s` the longest page's wall time, `rss_mb`
what the process grew by. Peer: `merge`, which reads the same rows and merges a series' sketches one after
another, as the library does it; it is given a tenth of the series, and its figures are times ten.
"""

import os
import resource
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from datasketches import tdigest_double
from sqlalchemy import text

from benchmarks import form
from workers.foundation import clock, database, partitions
from workers.foundation.rows import copy
from workers.measurements.store import rollups, sketches
from workers.measurements.store.points import note_due

START = datetime(2026, 10, 10, 12, tzinfo=UTC)


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--series", type=int, default=30_000)
    given = options.parse_args()
    with form.database():
        _fill(given.series)
        contestants: dict[str, form.Measure] = {"ours": _ours, "merge": partial(_merge, given.series // 10)}
        form.main("rollups", contestants, _ratios, runs=1, options=given)


def _fill(count: int) -> None:
    chance = np.random.default_rng(7)
    with database.transaction() as db:
        partitions.make(db, "metric_minutes", [START.date()])
        names = ((f'a{{n="{number}"}}', "a", "{}") for number in range(count))
        copy(db, "metric_series", ("text", "name", "labels"), names)
        ids = list(db.execute(text("SELECT id FROM metric_series ORDER BY id")).scalars())
        kinds = [sketches.of_values(chance.normal(size=size)) for size in chance.integers(5, 8, 500)]
        rows = (
            (number, START + timedelta(minutes=minute), 6, 1.0, 0.0, 1.0, kinds[(number * 7 + minute) % 500])
            for number in ids
            for minute in range(60)
        )
        copy(db, "metric_minutes", ("series", "at", "count", "sum", "least", "most", "sketch"), rows)


def _ours() -> form.Figures:
    with database.transaction() as db:
        note_due(db, "hour", [START])
    pages, before, grown = list[float](), _cpu(), _rss()
    more = True
    while more:
        begun = clock.stopwatch()
        with database.transaction() as db:
            span = rollups.take(db, before=START + timedelta(hours=2))
            more = span is not None and rollups.roll_up(db, span)
        pages.append(clock.stopwatch() - begun)
    return {"cpu_s": _cpu() - before, "page_s": max(pages), "rss_mb": _rss() - grown, "pages": len(pages)}


def _merge(count: int) -> form.Figures:
    before = _cpu()
    query = "SELECT series, sketch FROM metric_minutes WHERE series <= :last ORDER BY series"
    with database.transaction() as db:
        last = db.execute(text("SELECT min(id) FROM metric_series")).scalar_one() + count - 1
        whole: dict[int, Any] = {}
        for number, sketch in db.execute(text(query), {"last": last}):
            whole.setdefault(number, tdigest_double(100)).merge(tdigest_double.deserialize(bytes(sketch)))
        _ = [one.serialize() for one in whole.values()]
    return {"cpu_s": 10 * (_cpu() - before)}


def _cpu() -> float:
    """Return the processor seconds of this process, and of PostgreSQL's."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    servers = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]
    return own.ru_utime + own.ru_stime + sum(sum(one.cpu_times()[:2]) for one in servers)


def _rss() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss / 2**20)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {"merge_cpu_over_ours": medians["merge"]["cpu_s"] / medians["ours"]["cpu_s"]}


if __name__ == "__main__":
    main()
