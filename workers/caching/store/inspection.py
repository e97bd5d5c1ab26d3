"""Looking at what the cache's server holds, and mending what is amiss."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from workers.caching.formats import envelope
from workers.caching.formats.envelope import Envelope, Poisoned
from workers.caching.keys import CONNECTIONS, COUNTS, ENTRIES, FINDINGS, LOADING
from workers.caching.rules.kinds import Kind, Policy, problem
from workers.caching.rules.structure import BIG, Held, Structure
from workers.caching.store import server
from workers.foundation import redis, settings

#: So many keys are looked at in one go, and at most.
PAGE, MAX_LOOKED_AT = 500, 5_000
#: So many times as many keys are tried when entries are sampled.
TRIES = 10
#: The form of a finding, and what the server's structure is kept as.
FORM, STRUCTURE = 2, "structure"


def look(before: Structure | None, passed: float) -> Structure:
    """Return the server's structure, `passed` seconds after it was `before`, and mend what is amiss.

    What would never expire gets a time; what is none of ours goes.
    """
    server = redis.cache_server()
    memory, stats = server.info("memory"), server.info("stats")
    found = _Sample()
    for name, text, lives in _sampled():
        found.take(server, name, text, lives)
    evicted = stats["evicted_keys"]
    return Structure(
        used=memory["used_memory"],
        limit=memory["maxmemory"],
        entries=server.dbsize(),
        evicted=evicted,
        sampled=found.counts["sampled"],
        unbounded=found.counts["unbounded"] + _leases_without_end(),
        orphans=found.counts["orphans"],
        big=tuple(sorted(found.big)[:20]),
        kinds=found.kinds,
        ratio=found.counts["bodies"] / found.counts["texts"] if found.counts["texts"] else None,
        evictions_per_s=max(0, evicted - before.evicted) / passed if before else 0.0,
        operations_per_s=float(stats["instantaneous_ops_per_sec"]),
    )


@dataclass
class _Sample:
    """What was seen of entries, one after the other."""

    counts: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Held] = field(default_factory=dict)
    big: list[str] = field(default_factory=list)

    def take(self, server: redis.Client, name: str, text: bytes, lives: int) -> None:
        """Count an entry, and mend what is amiss with it."""
        self.counts["sampled"] += 1
        if (entry := _readable(name, text)) is None:
            server.unlink(ENTRIES + name)
            self.counts["orphans"] += 1
            return
        if lives == -1:
            server.pexpire(ENTRIES + name, _longest_ms())
            self.counts["unbounded"] += 1
        kind, size = name.partition(":")[0], len(text)
        held = self.kinds.get(kind, Held(0, 0))
        self.kinds[kind] = Held(held.entries + 1, held.bytes + size)
        self.counts["bodies"] += len(orjson.dumps(entry.value))
        self.counts["texts"] += size - text.find(b"\n")
        if size > BIG:
            self.big.append(name)


def _sampled() -> Iterator[tuple[str, bytes, int]]:
    """Yield (name, text, ms that it lives) of a bounded number of entries."""
    server, looked_at, cursor = redis.cache_server(), 0, "0"
    while looked_at < MAX_LOOKED_AT:
        cursor, found = server.scan(cursor, match=f"{ENTRIES}*", count=PAGE)
        with redis.cache_server(decode=False).pipeline(transaction=False) as pipe:
            for key in found:
                pipe.get(key)
                pipe.pttl(key)
            answers = pipe.execute(raise_on_error=False)
        for key, text, lives in zip(found, answers[::2], answers[1::2], strict=True):
            if text is not None:
                yield key.removeprefix(ENTRIES), text if isinstance(text, bytes) else b"", int(lives)
        looked_at += len(found)
        if str(cursor) == "0":
            return


def _readable(name: str, text: bytes) -> Envelope | None:
    kind, *ids = name.split(":")
    try:
        return envelope.read(name, text) if problem(kind, tuple(ids)) is None else None
    except Poisoned:
        return None


def _leases_without_end() -> int:
    """Drop leases that would never run out; return how many."""
    server = redis.cache_server()
    keys = server.scan_iter(match=f"{LOADING}*", count=PAGE)
    endless = [key for key in keys if server.pttl(key) == -1]
    if endless:
        server.unlink(*endless)
    return len(endless)


def _longest_ms() -> int:
    policy = settings.read(Policy)
    return int(max(policy.ttl(kind) for kind in Kind).total_seconds() * 1000)


def sample(limit: int) -> dict[str, Envelope]:
    """Return some entries, at random, that have a source: what they are called and what they hold."""
    own = set[str]()
    # Most keys are connections, which have no source: other kinds are looked for as long as it is cheap.
    for _ in range(TRIES):
        if len(own) < limit:
            own |= _some_names(limit)
    entries = {name: _readable(name, text) for name, text in server.get_all(list(own)[:limit]).items()}
    return {name: entry for name, entry in entries.items() if entry}


def _some_names(limit: int) -> set[str]:
    with redis.cache_server().pipeline(transaction=False) as pipe:
        for _ in range(limit):
            pipe.randomkey()
        keys = [key or "" for key in pipe.execute()]
    own = (key for key in keys if key.startswith(ENTRIES) and not key.startswith(CONNECTIONS))
    return {key.removeprefix(ENTRIES) for key in own}


def drain_counts() -> dict[str, int]:
    """Return what gateways counted since the last time, and forget it."""
    with redis.cache_server().pipeline(transaction=True) as pipe:
        pipe.hgetall(COUNTS)
        pipe.delete(COUNTS)
        counts: dict[str, str] = pipe.execute()[0]
    return {name: int(value) for name, value in counts.items() if value.isdigit()}


def keep_finding(name: str, found: Mapping[str, Any]) -> None:
    """Keep what maintenance found, for alerts and people."""
    text = orjson.dumps({"form": FORM, **found}, default=vars)
    redis.cache_server().hset(FINDINGS, name, text)


def findings(*, within: timedelta = timedelta.max) -> dict[str, Any]:
    """Return what maintenance found last, by name: what was found within a time."""
    server = redis.cache_server()
    at, _ = redis.server_time(server)
    found = {name: _finding(text) for name, text in server.hgetall(FINDINGS).items()}
    return {name: one for name, one in found.items() if one and at - one["at"] < within.total_seconds()}


def _finding(text: str) -> dict[str, Any] | None:
    """Return a finding; None for one of another version of ours: it is made anew soon."""
    with suppress(orjson.JSONDecodeError):
        found: dict[str, Any] = orjson.loads(text)
        return found if found.get("form") == FORM else None
    return None
