"""The roll-up of an hour: 60 minutes of each series, six values a minute, become one row each.

    python -m benchmarks.rollups [--series 30000] [--json]

`cpu_s` is processor time of Python and PostgreSQL together, `page_s` the longest page's wall time, `rss_mb`
what the process grew by, `hour_mb` what the minutes take in PostgreSQL. Peer: `merge`, for which each minute
of a series is a row with a sketch; it reads them and merges a series' sketches one after another, as the
library does it. It is given a tenth of the series, and its figures are times ten.
"""

import os
import resource
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from datasketches import tdigest_double
from sqlalchemy import Connection, text

from benchmarks import form
from workers.foundation import clock, database
from workers.foundation.rows import copy
from workers.measurements.rules.samples import Row
from workers.measurements.store import pages, rollups, sketches
from workers.measurements.store.points import note_due

START = datetime(2026, 10, 10, 12, tzinfo=UTC)


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--series", type=int, default=30_000)
    given = options.parse_args()
    with form.database():
        fill(given.series)
        contestants: dict[str, form.Measure] = {"ours": roll_up_hour, "merge": _merge}
        form.main("rollups", contestants, _ratios, runs=1, options=given)


def fill(count: int, *, peers: bool = True) -> None:
    """Write the minutes of an hour of so many new series, and for the peer those of a tenth."""
    chance = np.random.default_rng(7)
    with database.transaction() as db:
        name = f"hour_{count}"
        names = ((f'{name}{{n="{number}"}}', name, "{}") for number in range(count))
        copy(db, "metric_series", ("text", "name", "labels"), names)
        known = text("SELECT id FROM metric_series WHERE name = :name ORDER BY id")
        ids = np.array(list(db.execute(known, {"name": name}).scalars()))
        rows = np.zeros(6 * count, Row)
        rows["series"] = np.repeat(ids, 6)
        for minute in range(60):
            rows["value"] = chance.normal(size=len(rows))
            pages.write(db, START + timedelta(minutes=minute), rows)
        if peers:
            _fill_peer(db, ids[: count // 10].tolist())


def _fill_peer(db: Connection, ids: list[int]) -> None:
    chance = np.random.default_rng(7)
    db.execute(
        text("CREATE TABLE peer (series bigint, at timestamptz, sketch bytea, PRIMARY KEY (series, at))")
    )
    kinds = [sketches.of_values(chance.normal(size=6)) for _ in range(500)]
    rows = (
        (number, START + timedelta(minutes=minute), kinds[(number * 7 + minute) % 500])
        for number in ids
        for minute in range(60)
    )
    copy(db, "peer", ("series", "at", "sketch"), rows)


def roll_up_hour() -> form.Figures:
    """Roll the hour up; return what that took."""
    with database.transaction() as db:
        note_due(db, "hour", [START])
    taken, before, grown = list[float](), _cpu(), _rss()
    more = True
    while more:
        begun = clock.stopwatch()
        with database.transaction() as db:
            span = rollups.take(db, before=START + timedelta(hours=2))
            more = span is not None and rollups.roll_up(db, span)
        taken.append(clock.stopwatch() - begun)
    spent = {"cpu_s": _cpu() - before, "page_s": max(taken), "rss_mb": _rss() - grown, "pages": len(taken)}
    return spent | {"hour_mb": _mb(f"metric_minute_pages_{START:%Y%m%d}")}


def _merge() -> form.Figures:
    before = _cpu()
    with database.transaction() as db:
        whole: dict[int, Any] = {}
        for number, sketch in db.execute(text("SELECT series, sketch FROM peer ORDER BY series")):
            whole.setdefault(number, tdigest_double(100)).merge(tdigest_double.deserialize(bytes(sketch)))
        _ = [one.serialize() for one in whole.values()]
    return {"cpu_s": 10 * (_cpu() - before), "hour_mb": 10 * _mb("peer")}


def _mb(table: str) -> float:
    with database.transaction() as db:
        size = db.execute(text("SELECT pg_total_relation_size(:table)"), {"table": table}).scalar_one()
    return float(size) / 1e6


def _cpu() -> float:
    """Return the processor seconds of this process, and of PostgreSQL's."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    # What could not be asked, for it has just ended, is None.
    servers = [
        one.info for one in psutil.process_iter(["name", "cpu_times"]) if one.info["name"] == "postgres"
    ]
    times = (one["cpu_times"] for one in servers if one["cpu_times"])
    return own.ru_utime + own.ru_stime + sum(sum(each[:2]) for each in times)


def _rss() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss / 2**20)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours, merge = medians["ours"], medians["merge"]
    return {f"merge_{name}_over_ours": merge[name] / ours[name] for name in merge}


if __name__ == "__main__":
    main()
