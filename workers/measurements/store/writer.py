"""The writer: takes points from the stream and writes them into PostgreSQL, each once.

What was written is remembered in the transaction that writes it: the stream's position. So a writer that dies
leaves no gap and no double, and one that takes over goes on where the last transaction ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation import clock, dead_letters, logs, redis
from workers.measurements.keys import STREAM
from workers.measurements.rules.objectives import BY_SERIES
from workers.measurements.rules.samples import LARGEST, LONGEST, Row, parts
from workers.measurements.store import blocks
from workers.measurements.store.blocks import MINUTE, Points
from workers.measurements.store.counting import Counter
from workers.measurements.store.points import note_due, note_heard, positions, series

log = logs.get("measurements")


#: Microseconds since 1970 of 2000 and 2200: PostgreSQL and our partitions take no other years.
_FIRST, _LAST = 946_684_800_000_000, 7_258_118_400_000_000
#: Blocks that one transaction takes at most.
TAKE = 100
#: Each so many seconds a writer forgets all series, those that are silent among them.
TIDY = 3600.0
#: A writer remembers the series of so many different blocks.
LISTS = 100


@dataclass(frozen=True)
class Written:
    """What a run of the writer did.

    How far it came (empty: it took nothing), points that are new, points that were there, and of the new ones
    the objectives' events, each series by its place in the writer's texts.
    """

    position: str = ""
    new: int = 0
    doubles: int = 0
    events: Points = field(default_factory=lambda: np.empty(0, Row))


_NEW_SERIES = text("""
    INSERT INTO metric_series (text, name, labels)
    SELECT * FROM unnest(cast(:texts AS text[]), cast(:names AS text[]), cast(:labels AS jsonb[]))
    ON CONFLICT DO NOTHING
""")


class Writer:
    """Takes blocks from the stream and writes what is new.

    One of several that run at a time, whoever gets the lock.
    """

    def __init__(self, name: str, counter: Counter | None = None) -> None:
        """Begin without knowing anything: the first batch is compared with the database."""
        self.name = name
        self.counter = counter or Counter()
        #: Whether there was as much as one run takes: there may be more.
        self.full = False
        #: What others wrote is not newer than this, in microseconds.
        self.horizon = 0
        self._forget()

    def _forget(self) -> None:
        """Forget all series: those that come back are looked up again."""
        #: A series has a place of its own here, for ids grow for ever.
        self.places: dict[str, int] = {}
        self.texts: list[str] = []
        self.lists: dict[bytes, Any] = {}
        #: By place: the series' id, the newest moment that this writer wrote, whether an objective counts it.
        self.ids, self.last = np.zeros(0, "<i8"), np.zeros(0, "<i8")
        self.counted = np.zeros(0, bool)
        self.counter.forget()
        self._tidied = clock.stopwatch()

    def write(self, db: Connection) -> Written:
        """Write the next blocks; nothing while another writer does, or when there are none."""
        place = self._place(db)
        if place is None:
            return Written()
        pushed = redis.undecoded().xrange(STREAM, min=f"({place}", max="+", count=TAKE)
        self.full = len(pushed) == TAKE
        if not pushed:
            return Written()
        ours = [fields for _, fields in pushed if self._sound(fields)]
        parts, ends = list[Points](), list[int]()
        found = self._rows(db, ours)
        # What is newer than this is in no table, at most among what this run has taken.
        before = self.last.copy()
        for part in found:
            parts.append(self._new(db, part, list(zip(ends, parts, strict=True)), before))
            ends.append(int(part["at"].max()) if len(part) else 0)
        position = pushed[-1][0].decode()
        self._move(db, position)
        written = np.concatenate([np.empty(0, Row), *parts])
        counted = written[self.counted[written["series"]]]
        if len(written):
            written["series"] = self.ids[written["series"]]
            note_due(db, "minute", blocks.append(db, written))
        sent = sum(len(fields[b"r"]) // Row.itemsize for fields in ours)
        return Written(position, len(written), sent - len(written), counted)

    def keep(self, db: Connection) -> None:
        """Drop from the stream what is written, and now and then all from memory: after the transaction."""
        if clock.stopwatch() - self._tidied > TIDY:
            self._forget()
        if position := db.execute(
            select(positions.c.position).where(positions.c.stream == STREAM)
        ).scalar_one_or_none():
            milliseconds, _, number = position.partition("-")
            redis.undecoded().xtrim(STREAM, minid=f"{milliseconds}-{int(number) + 1}", approximate=False)

    def _place(self, db: Connection) -> str | None:
        if not db.execute(
            text("SELECT pg_try_advisory_xact_lock(hashtext(:stream))"), {"stream": STREAM}
        ).scalar_one():
            return None
        db.execute(
            insert(positions).values(stream=STREAM, position="0-0", writer="").on_conflict_do_nothing()
        )
        row = db.execute(select(positions).where(positions.c.stream == STREAM)).one()
        self.counter.confirm(row.position)
        if row.writer != self.name or not self.places:
            # Somebody else wrote until now, or who knew more.
            self.horizon = blocks.newest(db)
            self.counter.recall(db)
        return _existing(row.position)

    def _move(self, db: Connection, position: str) -> None:
        db.execute(
            positions.update().where(positions.c.stream == STREAM).values(position=position, writer=self.name)
        )

    def _rows(self, db: Connection, pushed: Sequence[dict[bytes, bytes]]) -> "list[Points]":
        # Who pushes every ten seconds sends the same series in the same order: their ids are read once.
        lists = {block[b"s"]: orjson.loads(block[b"s"]) for block in pushed if block[b"s"] not in self.lists}
        if unknown := {one for texts in lists.values() for one in texts} - self.places.keys():
            self._learn(db, unknown)
        self.lists |= {
            key: np.array([self.places[one] for one in texts], "<i8") for key, texts in lists.items()
        }
        if len(self.lists) > LISTS:
            self.lists = {key: self.lists[key] for key in {block[b"s"] for block in pushed}}
        found = []
        for block in pushed:
            own = np.frombuffer(block[b"r"], Row).copy()
            own["series"] = self.lists[block[b"s"]][own["series"]]
            found.append(own)
        return found

    def _sound(self, fields: dict[bytes, bytes]) -> bool:
        """Tell whether a block is one of ours.

        What is none is refused, or all behind it would wait for ever.
        """
        try:
            sound = _fits(np.frombuffer(fields[b"r"], Row), self._names(fields[b"s"]))
        except (KeyError, ValueError, TypeError):
            sound = False
        if not sound:
            log.error("block refused", reason="not_ours", stream=STREAM)
            dead_letters.keep(STREAM, "it is no block of samples")
        return sound

    def _names(self, key: bytes) -> int:
        """Return how many series a block names; raises ValueError for what are no names of series."""
        if key in self.lists:
            return len(self.lists[key])
        names = orjson.loads(key)
        if not isinstance(names, list) or not all(
            isinstance(one, str) and "\0" not in one and len(one) <= LONGEST * 2 for one in names
        ):
            raise ValueError("no names of series")
        return len(names)

    def _learn(self, db: Connection, texts: set[str]) -> None:
        query = select(series.c.text, series.c.id).where(
            series.c.text == any_(literal([*texts], ARRAY(Text)))
        )
        ids = {row[0]: row[1] for row in db.execute(query)}
        note_heard(db, list(ids.values()))
        if new := sorted(texts - ids.keys()):
            names, labels = zip(*map(parts, new), strict=True)
            facts = {
                "texts": new,
                "names": list(names),
                "labels": [orjson.dumps(one).decode() for one in labels],
            }
            db.execute(_NEW_SERIES, facts)
            ids |= {row[0]: row[1] for row in db.execute(query)}
        ordered = sorted(ids)
        self.places |= {one: place for place, one in enumerate(ordered, len(self.texts))}
        self.texts += ordered
        self.ids = np.concatenate([self.ids, np.array([ids[one] for one in ordered], "<i8")])
        self.last = np.concatenate([self.last, np.zeros(len(ordered), "<i8")])
        counted = [parts(one)[0] in BY_SERIES for one in ordered]
        self.counted = np.concatenate([self.counted, np.array(counted, bool)])

    def _new(self, db: Connection, rows: Points, taken: list[tuple[int, Points]], before: Points) -> Points:
        """Return the rows that are neither written nor `taken` before in this run, each once."""
        rows = _once(rows)
        unsure = rows["at"] <= np.maximum(self.last[rows["series"]], self.horizon)
        if unsure.any():
            late = rows[unsure]
            old = late[late["at"] <= np.maximum(before[late["series"]], self.horizon)]
            rows = rows[~_doubles(rows, unsure, [*self._written(db, old), *_taken(taken, late)])]
        np.maximum.at(self.last, rows["series"], rows["at"])
        return rows

    def _written(self, db: Connection, late: Points) -> list[Points]:
        """Return what is written of these rows' minutes and series."""
        if not len(late):
            return []
        minutes = (datetime.fromtimestamp(int(at) * 60, UTC) for at in np.unique(late["at"] // MINUTE))
        there, wanted = blocks.read(db, minutes), np.unique(late["series"])
        # From ids to places.
        order = wanted[np.argsort(self.ids[wanted])]
        there = there[np.isin(there["series"], self.ids[order])]
        places = order[np.searchsorted(self.ids[order], there["series"])]
        return [np.column_stack((places, there["at"]))]


def _fits(rows: Points, series_named: int) -> bool:
    """Tell whether rows are of the series that are named, of our centuries, and numbers."""
    if not len(rows):
        return True
    places, at, value = rows["series"], rows["at"], rows["value"]
    of_ours = int(places.min()) >= 0 and int(places.max()) < series_named
    return (
        of_ours
        and int(at.min()) >= _FIRST
        and int(at.max()) < _LAST
        and bool((np.abs(value) <= LARGEST).all())
    )


def _once(rows: Points) -> Points:
    """Return each (series, time) once, the first that came."""
    counts = np.bincount(rows["series"]) if len(rows) else np.zeros(0, int)
    again = np.flatnonzero(counts[rows["series"]] > 1)
    if not len(again):
        return rows
    some = rows[again]
    order = np.lexsort((some["at"], some["series"]))
    some = some[order]
    same = (some["series"][1:] == some["series"][:-1]) & (some["at"][1:] == some["at"][:-1])
    return np.delete(rows, again[order[1:][same]])


def _existing(position: str) -> str:
    """Return the position; the beginning when the stream is another one, which ends before it.

    Redis lost the old one.
    """
    client = redis.undecoded()
    if not client.exists(STREAM):
        return position
    last = client.xinfo_stream(STREAM)["last-generated-id"].decode()
    return position if _order(last) >= _order(position) else "0-0"


def _order(position: str) -> tuple[int, ...]:
    return tuple(map(int, position.split("-")))


def _doubles(rows: Points, unsure: Points, there: list[Points]) -> Points:
    """Tell which `unsure` rows are among what is `there` of their time, as (series, microseconds)."""
    late, known = rows[unsure], np.concatenate([np.empty((0, 2), "<i8"), *there])
    begin, end = int(late["at"].min()), int(late["at"].max())
    width = end - begin + 1
    known = known[(known[:, 1] >= begin) & (known[:, 1] <= end)]
    found = unsure.copy()
    found[unsure] = np.isin(
        late["series"] * width + (late["at"] - begin), known[:, 0] * width + (known[:, 1] - begin)
    )
    return found


def _taken(taken: list[tuple[int, Points]], late: Points) -> list[Points]:
    """Return what was taken before, in this run, that is not older than these rows.

    `taken` has each part's newest moment.
    """
    begin = int(late["at"].min())
    return [np.column_stack((part["series"], part["at"])) for end, part in taken if end >= begin]
