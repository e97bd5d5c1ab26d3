"""What is counted of reads: gathered in the process, added up every few seconds."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from redis.exceptions import RedisError

from workers.caching import keys, telemetry
from workers.caching.rules.kinds import OF_A_WEDDING
from workers.caching.store import server
from workers.caching.store.local import Copy, Key, Local
from workers.foundation import logs, settings
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar

log = logs.get("caching")

#: So many times are kept between two flushes; so many copies are measured.
SAMPLES = 1_000
MEASURED = 20
#: How the answers of `fill` are counted.
FILLED = {1: "filled", 0: "changed", -1: "older"}


class Tally:
    """Counts of one process since the last flush."""

    def __init__(self, local: Local) -> None:
        """Count what is read of `local`, and what it did not have."""
        self._local = local
        self._server, self._missed = Counter[Key](), Counter[Key]()
        self._warmed: dict[Key, str] = {}
        self._refused = Counter[str]()
        self._seconds: list[tuple[str, float]] = []
        self._evicted = 0

    def read(self, key: Key, *, hit: bool, seconds: float) -> None:
        """Count a read that asked the server."""
        (self._server if hit else self._missed)[key] += 1
        self._time("read", seconds)

    def warmed(self, key: Key, wedding_id: str) -> None:
        """Note for which wedding an entry was warmed."""
        self._warmed[key] = wedding_id

    def filled(self, key: Key, answer: int, seconds: float) -> None:
        """Count a fill and what became of it."""
        telemetry.fills.labels(key[0], FILLED[answer]).inc()
        self._time("write", seconds)

    def refused(self, key: Key, reason: str) -> None:
        """Count an entry that is none of ours; nothing of what it holds is logged."""
        telemetry.refused.labels(reason).inc()
        self._refused[key[0]] += 1
        log.warning("entry refused", kind=key[0], reason=reason)

    def stale(self, key: Key, reason: str) -> None:
        """Count an older copy that is served."""
        telemetry.stale.labels(key[0]).inc()
        # One of thousands: the count is what is looked at.
        log.debug("older copy served", kind=key[0], reason=reason)

    def _time(self, what: str, seconds: float) -> None:
        if len(self._seconds) < SAMPLES:
            self._seconds.append((what, seconds))

    def flush(self, *, now: Moment) -> None:
        """Add to what all processes counted."""
        local, asked, missed = self._drain()
        phases = {key: self._phase(key, now) for key in local | asked | missed}
        for layer, counts in (("local", local), ("server", asked), ("none", missed)):
            for key, many in counts.items():
                telemetry.reads.labels(layer, key[0], phases[key]).inc(many)
        for what, seconds in self._seconds:
            telemetry.seconds.labels(what).observe(seconds)
        self._seconds.clear()
        self._gauges()
        refused, self._refused = self._refused, Counter()
        try:
            server.note(self._rows(local, asked, missed))
            server.note_refused(refused)
        except RedisError as error:
            log.warning("reads not noted", reason="redis", detail=str(error))
        self._warmed = {key: tag for key, tag in self._warmed.items() if key in self._local.copies}

    def _drain(self) -> tuple[Counter[Key], Counter[Key], Counter[Key]]:
        asked, missed = self._server, self._missed
        self._server, self._missed = Counter(), Counter()
        local = self._local.left
        self._local.left = Counter()
        for key, copy in list(self._local.copies.items()):
            if copy.hits:
                local[key] += copy.hits
                copy.hits = 0
        return local, asked, missed

    def _gauges(self) -> None:
        held = list(self._local.copies.values())
        telemetry.copies.set(len(held))
        sample = [len(orjson.dumps(copy.value)) for copy in held[:: max(1, len(held) // MEASURED)]]
        telemetry.local_bytes.set(len(held) * sum(sample) / max(1, len(sample)))
        telemetry.evicted.inc(self._local.evicted - self._evicted)
        self._evicted = self._local.evicted

    def _rows(
        self, local: Counter[Key], asked: Counter[Key], missed: Counter[Key]
    ) -> Iterator[tuple[str, str, int, int, int, int]]:
        for key in local | asked | missed:
            kind, ids = key
            of = self._warmed.get(key) or (ids[0] if kind in OF_A_WEDDING else "")
            yield of, keys.name(kind, ids), local[key], asked[key], missed[key], int(key in self._warmed)

    def _phase(self, key: Key, now: Moment) -> str:
        copy = self._local.copies.get(key)
        return phase_of(copy, now=now) if copy else "unknown"


def phase_of(copy: Copy, *, now: Moment) -> str:
    """Return the phase of the wedding that an entry is of; `none` where it is of no single one."""
    value: Any = copy.value
    if not value or "starts_at" not in value or "ends_at" not in value:
        return "none"
    try:
        starts, ends = (datetime.fromisoformat(value[name]) for name in ("starts_at", "ends_at"))
    except ValueError:
        return "none"
    begins = calendar.begins(starts, ends, settings.read(calendar.Policy))
    return next((str(name) for begin, name in begins if now >= begin), str(calendar.Phase.PLANNING))
