"""The sweep over all series: two detectors, each in its own step, none sees what is to come."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from workers.foundation.moments import MachineMoment
from workers.measurements.rules.detector import STATE_BYTES as DETECTOR_BYTES
from workers.measurements.rules.detector import THRESHOLD, Detector
from workers.measurements.rules.samples import Anomaly
from workers.measurements.rules.steps import STATE_BYTES as STEPS_BYTES
from workers.measurements.rules.steps import Steps, Tuning
from workers.measurements.store import detection
from workers.measurements.store.detection import Memory

#: What a point may be late before its sweep is closed; how many sweeps are made up for; how long a finding
#: stands.
LATE, MAX, VALID_FOR = timedelta(seconds=10), 6, timedelta(minutes=10)
#: Detector -> from sweep to sweep: steps are for quick changes, surprises for what an hour or a day never
#: did.
EVERY = {"step": timedelta(seconds=10), "surprise": timedelta(minutes=1)}
#: A series that is silent for so long is forgotten: what is heard of on Saturdays is known the next Saturday.
FORGET_AFTER = timedelta(days=8)
Ids = NDArray[np.int64]
Values = NDArray[np.float64]
Scores = NDArray[np.float32]


def sweep(db: Connection, *, now: MachineMoment) -> list[Anomaly]:
    """Show each detector the sweeps that have ended and that it has not seen.

    Return, and remember, what they found.
    """
    found = [one for kind, every in EVERY.items() for one in _sweep(db, kind, every, now - LATE)]
    detection.publish(found)
    return found


def _sweep(db: Connection, kind: str, every: timedelta, until: datetime) -> list[Anomaly]:
    seconds = every.total_seconds()
    last = until.timestamp() // seconds * seconds
    size = DETECTOR_BYTES if kind == "surprise" else STEPS_BYTES
    memory = detection.recall(kind, row_bytes=size, epoch=until.timestamp()) or Memory.empty(last - seconds)
    first = max(memory.swept + seconds, last - (MAX - 1) * seconds)
    found: list[Anomaly] = []
    for end in np.arange(first, last + seconds / 2, seconds).tolist():
        at = datetime.fromtimestamp(end, UTC)
        ids, means = detection.means(db, at - every, at)
        memory = _grown(db, kind, _lively(memory, end), ids, end)
        memory, values, scores = _step(kind, memory, ids, means, end)
        found += _found(db, kind, memory.ids, scores, values, end)
    detection.remember(kind, memory)
    return found


def _detector(kind: str, rows: NDArray[np.uint8]) -> Any:
    if kind == "surprise":
        return Detector.unpack(rows)
    return Steps.unpack(rows, Tuning(every=EVERY[kind].total_seconds()))


def _lively(memory: Memory, at: float) -> Memory:
    """Return the memory without the series that are silent for long."""
    heard = memory.heard > at - FORGET_AFTER.total_seconds()
    if heard.all():
        return memory
    return replace(memory, ids=memory.ids[heard], rows=memory.rows[heard], heard=memory.heard[heard])


def _grown(db: Connection, kind: str, memory: Memory, ids: Ids, at: float) -> Memory:
    """Return the memory with a row for each series that is new and to be looked at."""
    new = detection.watched(db, np.setdiff1d(ids, memory.ids))
    if not len(new):
        return memory
    fresh = (Detector(len(new)) if kind == "surprise" else Steps(len(new), Tuning())).pack()
    return replace(
        memory,
        ids=np.concatenate([memory.ids, new]),
        rows=np.concatenate([memory.rows, fresh]) if len(memory.ids) else fresh,
        heard=np.concatenate([memory.heard, np.full(len(new), at)]),
    )


def _step(kind: str, memory: Memory, ids: Ids, means: Values, at: float) -> tuple[Memory, Values, Scores]:
    """Show the sweep at a moment to a detector.

    Return its memory, and for each of its series the value (NaN where there is none) and the score.
    """
    values = np.full(len(memory.ids), np.nan)
    if not len(values):
        return replace(memory, swept=at), values, np.empty(0, np.float32)
    _, own, seen = np.intersect1d(memory.ids, ids, assume_unique=True, return_indices=True)
    values[own] = means[seen]
    detector = _detector(kind, memory.rows)
    scores = detector.step(at, values)
    heard = np.where(np.isnan(values), memory.heard, at)
    return Memory(memory.ids, detector.pack(), heard, at), values, scores


def _found(db: Connection, kind: str, ids: Ids, scores: Scores, values: Values, at: float) -> list[Anomaly]:
    found = np.flatnonzero(np.abs(scores) >= (THRESHOLD if kind == "surprise" else 1.0))
    texts = detection.texts(db, ids[found].tolist())
    until = at + (LATE + VALID_FOR).total_seconds()
    return [
        Anomaly(texts[own], kind, value, score, at, until)
        for own, value, score in zip(
            ids[found].tolist(), values[found].tolist(), scores[found].tolist(), strict=True
        )
        if own in texts
    ]
