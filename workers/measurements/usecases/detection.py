"""The sweep over all series: two detectors, each in its own step, none sees what is to come."""

from collections.abc import Mapping
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
    memory = detection.recall(kind, row_bytes=size, epoch=until.timestamp()) or Memory(
        np.empty(0, np.int64), np.empty((0, 0), np.uint8), last - seconds
    )
    first = max(memory.swept + seconds, last - (MAX - 1) * seconds)
    found: list[Anomaly] = []
    for end in np.arange(first, last + seconds / 2, seconds).tolist():
        at = datetime.fromtimestamp(end, UTC)
        seen = detection.values(db, at - every, at)
        memory, scores = _step(kind, _grown(kind, memory, seen), seen, end)
        found += _found(db, kind, memory.ids, scores, seen, end)
    detection.remember(kind, memory)
    return found


def _detector(kind: str, rows: NDArray[np.uint8]) -> Any:
    if kind == "surprise":
        return Detector.unpack(rows)
    return Steps.unpack(rows, Tuning(every=EVERY[kind].total_seconds()))


def _grown(kind: str, memory: Memory, seen: Mapping[int, float]) -> Memory:
    """Return the memory with a row for each series that is new."""
    new = sorted(seen.keys() - set(memory.ids.tolist()))
    if not new:
        return memory
    fresh = (Detector(len(new)) if kind == "surprise" else Steps(len(new), Tuning())).pack()
    rows = np.concatenate([memory.rows, fresh]) if len(memory.ids) else fresh
    return replace(memory, ids=np.concatenate([memory.ids, np.array(new, np.int64)]), rows=rows)


def _step(
    kind: str, memory: Memory, seen: Mapping[int, float], at: float
) -> tuple[Memory, NDArray[np.float32]]:
    if not len(memory.ids):
        return replace(memory, swept=at), np.empty(0, np.float32)
    detector = _detector(kind, memory.rows)
    scores = detector.step(at, np.array([seen.get(one, np.nan) for one in memory.ids.tolist()]))
    return Memory(memory.ids, detector.pack(), at), scores


def _found(
    db: Connection,
    kind: str,
    ids: NDArray[np.int64],
    scores: NDArray[np.float32],
    seen: Mapping[int, float],
    at: float,
) -> list[Anomaly]:
    found = np.flatnonzero(np.abs(scores) >= (THRESHOLD if kind == "surprise" else 1.0))
    texts = detection.texts(db, ids[found].tolist())
    numbered = ((int(ids[place]), float(scores[place])) for place in found.tolist())
    until = at + (LATE + VALID_FOR).total_seconds()
    return [Anomaly(texts[own], kind, seen[own], score, at, until) for own, score in numbered if own in texts]
