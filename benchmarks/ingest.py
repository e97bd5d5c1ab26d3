"""Ingest: samples of 10,000 series at 10 s from the stream into PostgreSQL, each once.

Events of objectives are counted meanwhile.

`rows_per_s` is from the first block taken out of the stream to the last commit: decoding, telling series'
ids, dropping doubles, packing, counting objectives' events, trimming; by a writer that has seen the series
before, of points one in a hundred of which comes twice (`ours_without_doubles`: none does). `door_rows_per_s`
is what comes before: checking samples and appending them to the stream. Peers write the same rows, with
everything prepared: `raw_copy` is binary COPY of ready bytes into the same kind of table with the same index;
`copy_text` is COPY of rows; `unique_index` is ON CONFLICT DO NOTHING from a staging table, the usual way to
drop doubles.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import text

from benchmarks import form
from workers.foundation import clock
from workers.measurements import keys

SERIES, SWEEPS, DOUBLES = 10_000, 60, 0.01
BLOCK = 10_000


def main() -> None:
    """Print the figures."""
    options = form.parser(5).parse_args()
    with form.broker(), form.database():
        bench = _Bench()
        peers = {"raw_copy": bench.raw_copy, "copy_text": bench.copy_text, "unique_index": bench.unique_index}
        form.main(
            "ingest",
            {"ours": bench.ours, "ours_without_doubles": lambda: bench.ours(doubles=False), **peers},
            _ratios,
            runs=5,
            options=options,
        )


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours = medians["ours"]["rows_per_s"]
    clean = medians["ours_without_doubles"]["rows_per_s"] / medians["raw_copy"]["rows_per_s"]
    ratios = {
        f"over_{peer}": ours / medians[peer]["rows_per_s"] for peer in medians if not peer.startswith("ours")
    }
    return ratios | {"without_doubles_over_raw_copy": clean}


class _Bench:
    def __init__(self) -> None:
        from workers.measurements.rules.samples import Row

        begin = int(clock.epoch()) // 60 * 60 - SWEEPS * 10
        regions = ("us-west", "us-south", "us-northeast")
        names = ["photo_upload_seconds"] * 30 + ["node_cpu"] * (SERIES - 30)
        self.texts = [
            f'{name}{{node="n{number}",region="{regions[number % 3]}"}}' for number, name in enumerate(names)
        ]
        self.rows = np.empty(SERIES * SWEEPS, Row)
        self.rows["series"] = np.tile(np.arange(SERIES), SWEEPS)
        self.rows["at"] = np.repeat((begin + 10 * np.arange(SWEEPS)) * 1_000_000, SERIES)
        self.rows["value"] = np.random.default_rng(1).lognormal(0, 0.5, len(self.rows))

    def ours(self, *, doubles: bool = True) -> form.Figures:
        from workers.measurements.store.writer import Writer
        from workers.measurements.usecases import intake

        _emptied()
        first, *rest = self._batches(doubles=doubles)
        _buffer(first)
        writer, taken = intake.write(Writer("bench"))
        sent = len(first.rows) + sum(len(batch.rows) for batch in rest)
        for batch in rest:
            _buffer(batch)
        begun = clock.stopwatch()
        while taken < sent:
            writer, more = intake.write(writer)
            taken += more
        seconds = clock.stopwatch() - begun
        _check(len(self.rows))
        return {
            "rows_per_s": (len(self.rows) - BLOCK) / seconds,
            "door_rows_per_s": self._door(),
            "rows": float(len(self.rows)),
        }

    def _door(self) -> float:
        from workers.measurements.rules.limits import Policy
        from workers.measurements.rules.samples import Sample, check

        named = [("node_cpu", (("node", f"n{number}"), ("region", "us-west"))) for number in range(BLOCK)]
        at = clock.epoch()
        given = [Sample(name, labels, at, 1.0) for name, labels in named]
        begun = clock.stopwatch()
        for _ in range(5):
            _buffer(check(given, Policy(), now=clock.machine_now()))
        return 5 * BLOCK / (clock.stopwatch() - begun)

    def _batches(self, *, doubles: bool) -> Iterator[Any]:
        from workers.measurements.rules.samples import Batch

        # One in a hundred comes again, with the next block.
        before = self.rows[:0]
        for first in range(0, len(self.rows), BLOCK):
            part = self.rows[first : first + BLOCK]
            yield Batch(self.texts, np.concatenate([part, before]))
            before = part[:: int(1 / DOUBLES)] if doubles else part[:0]

    def raw_copy(self) -> form.Figures:
        return self._peer(
            [HEAD + _binary(part) + TAIL for part in self._parts()],
            "COPY peer (series, at, value) FROM STDIN (FORMAT binary)",
        )

    def copy_text(self) -> form.Figures:
        return self._peer(
            [_lines(part) for part in self._parts()], "COPY peer (series, at, value) FROM STDIN"
        )

    def unique_index(self) -> form.Figures:
        after = "INSERT INTO peer SELECT * FROM staging ON CONFLICT DO NOTHING; TRUNCATE staging"
        copied = "COPY staging (series, at, value) FROM STDIN (FORMAT binary)"
        return self._peer([HEAD + _binary(part) + TAIL for part in self._parts()], copied, after, unique=True)

    def _parts(self) -> list[Any]:
        from workers.measurements.store.writer import TAKE

        return np.array_split(self.rows, max(1, len(self.rows) // (TAKE * BLOCK) or 1))

    def _peer(self, parts: list[bytes], copy: str, after: str = "", *, unique: bool = False) -> form.Figures:
        from workers.foundation import database

        with database.transaction() as db:
            db.execute(text("DROP TABLE IF EXISTS peer, staging"))
            columns = "(series bigint, at timestamptz, value float8"
            db.execute(text(f"CREATE TABLE peer {columns}{', PRIMARY KEY (series, at)' if unique else ''})"))
            db.execute(text(f"CREATE UNLOGGED TABLE staging {columns})"))
            db.execute(text("CREATE INDEX ON peer USING brin (at) WITH (pages_per_range = 32)"))
        begun = clock.stopwatch()
        for part in parts:
            with database.transaction() as db:
                with db.connection.cursor().copy(copy) as sink:
                    sink.write(part)
                if after:
                    db.exec_driver_sql(after)
        return {"rows_per_s": len(self.rows) / (clock.stopwatch() - begun)}


#: Of PostgreSQL's binary COPY; it counts microseconds from 2000-01-01.
HEAD, TAIL, EPOCH = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff", 946_684_800_000_000
_RECORD = np.dtype(
    [
        ("n", ">i2"),
        ("l1", ">i4"),
        ("series", ">i8"),
        ("l2", ">i4"),
        ("at", ">i8"),
        ("l3", ">i4"),
        ("value", ">f8"),
    ]
)


def _binary(rows: Any) -> bytes:
    out = np.empty(len(rows), _RECORD)
    out["n"], out["l1"], out["l2"], out["l3"] = 3, 8, 8, 8
    out["series"], out["at"], out["value"] = rows["series"], rows["at"] - EPOCH, rows["value"]
    return out.tobytes()


def _lines(rows: Any) -> bytes:
    moments = np.datetime_as_string(rows["at"].astype("datetime64[us]"))
    lines = zip(rows["series"].tolist(), moments.tolist(), rows["value"].tolist(), strict=True)
    return "".join(f"{series}\t{at}Z\t{value}\n" for series, at, value in lines).encode()


def _buffer(batch: Any) -> None:
    from workers.measurements.store import points

    points.buffer(batch, limit=10**9)


def _emptied() -> None:
    from workers.foundation import database, redis

    redis.registry().delete(keys.STREAM)
    with database.transaction() as db:
        db.execute(
            text(
                "TRUNCATE metric_blocks, metric_series, metric_positions, metric_rollups_due, slo_events "
                "RESTART IDENTITY"
            )
        )


def _check(rows: int) -> None:
    from workers.foundation import database
    from workers.measurements.store import blocks

    with database.transaction() as db:
        minutes = set(db.execute(text("SELECT minute FROM metric_blocks")).scalars())
        written = len(blocks.read(db, minutes))
    if written != rows:
        raise AssertionError(f"{written} rows are there, {rows} were sent, some twice")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
