"""An entry between its three forms: what was loaded, what is written, and a process's copy."""

from dataclasses import dataclass
from random import random
from typing import Any, NamedTuple

from workers.caching.formats import envelope
from workers.caching.formats.envelope import ABSENT, PRESENT, Envelope
from workers.caching.rules import freshness
from workers.caching.rules.kinds import Kind, Policy
from workers.caching.store.local import Copy
from workers.caching.store.server import Filling
from workers.foundation import clock


@dataclass(frozen=True)
class Loaded:
    """What a source has: None for what does not exist; and the revision of the rows that it is from."""

    value: Any
    revision: int


class Warmth(NamedTuple):
    """For which wedding an entry is loaded ahead, and for how many seconds at least it is fresh then."""

    wedding_id: str
    lives: float


#: Of what is loaded because somebody reads it.
ORDINARY = Warmth("", 0.0)


def made(
    name: str, loaded: Loaded, policy: Policy, *, at: float, load: float, warmth: Warmth = ORDINARY
) -> Envelope:
    """Return the entry that a value makes which took `load` seconds; `at` is the server's moment."""
    absent = loaded.value is None
    ttl = policy.absent_ttl if absent else policy.ttl(Kind(name.partition(":")[0]))
    fresh_for = freshness.lives(ttl.total_seconds(), policy.jitter, random())  # noqa: S311 - spreads loads
    made_ms, state = int(at * 1000), ABSENT if absent else PRESENT
    fresh_ms = made_ms + int(max(fresh_for, warmth.lives) * 1000)
    took = int(load * 1000) + 1
    return Envelope(name, loaded.revision, state, made_ms, fresh_ms, took, warmth.wedding_id, loaded.value)


def filling(entry: Envelope, token: str, policy: Policy, *, compress_above: int | None) -> Filling:
    """Return how an entry is written: it is kept beyond its time, for when the source fails."""
    beyond = 0 if entry.value is None else int(policy.fail_safe_for.total_seconds() * 1000)
    text = envelope.write(entry, compress_above=compress_above)
    return Filling(entry.name, token, entry.revision, entry.fresh - entry.made + beyond, text)


def uncached(loaded: Loaded) -> Copy:
    """Return the copy of what no other reader gets."""
    return Copy(loaded.value, loaded.revision, fresh_until=0.0, early=0.0)


def copy_of(found: Envelope, text: bytes, policy: Policy, *, at: float) -> Copy:
    """Return a process's copy of an entry, `stale` when its time is over; `at` is the server's moment."""
    now, left = clock.stopwatch(), found.fresh / 1000 - at
    early = freshness.early(left, found.load / 1000, policy.early, 1 - random())  # noqa: S311 - spreads loads
    copy = Copy(found.value, found.revision, fresh_until=now + left, early=now + early)
    copy.stale, copy.sum = left <= 0, envelope.checksum(text)
    if found.value is not None and "over" in found.value:
        copy.over = float(found.value["over"])
    return copy
