"""What of a warm-up is read: opened by who warms, added to by who reads, closed when it is evaluated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from workers.caching.keys import READ, WATCHED, WATCHES
from workers.caching.rules.kinds import Kind
from workers.caching.rules.warming import ClassOutcome, Outcome
from workers.foundation import redis

#: In ms, for how much longer than it is watched its counts are kept.
SPARE = 3_600_000


@dataclass(frozen=True)
class Watch:
    """A warm-up of a wedding under a key, whose entries live for `lasts_ms`.

    `classes` say how many entries there are and are warm.
    """

    wedding_id: str
    key: str
    lasts_ms: int
    classes: Mapping[str, ClassOutcome]


def class_of(name: str) -> str:
    """Return of which class an entry is: its kind, and of a subscription the user type."""
    kind, *ids = name.split(":")
    return f"{kind}/{ids[1]}" if kind == Kind.SUBSCRIPTION else kind


def keys_of(wedding_ids: Iterable[str]) -> dict[str, str]:
    """Return the keys of the warm-ups that are watched, by wedding."""
    ids = list(wedding_ids)
    with redis.cache_server().pipeline(transaction=False) as pipe:
        for one in ids:
            pipe.hget(WATCHED + one, "key")
        return {id: key for id, key in zip(ids, pipe.execute(), strict=True) if key}


def open_all(watches: Iterable[Watch], *, window_ms: int, at_ms: int) -> None:
    """Watch what is read of warm-ups; `window_ms` from the first read on count for recall.

    What was read of an earlier one of the same wedding counts on: its entries are there still.
    """
    with redis.cache_server().pipeline(transaction=False) as pipe:
        for one in watches:
            kept = one.lasts_ms + SPARE
            facts = {"key": one.key, "window": window_ms, "ttl": kept}
            for name, outcome in one.classes.items():
                facts |= {f"of:{name}": outcome.of, f"warmed:{name}": outcome.warmed}
            pipe.hset(WATCHED + one.wedding_id, mapping=facts)
            pipe.pexpire(WATCHED + one.wedding_id, kept)
            pipe.pexpire(READ + one.wedding_id, kept)
            pipe.zadd(WATCHES, {one.wedding_id: at_ms + one.lasts_ms})
        pipe.execute()


def due(at_ms: int, *, limit: int) -> list[str]:
    """Return the weddings whose warm-up is to be evaluated."""
    found: list[str] = redis.cache_server().zrangebyscore(WATCHES, "-inf", at_ms, start=0, num=limit)
    return found


def found(wedding_ids: Iterable[str]) -> dict[str, tuple[str, Outcome]]:
    """Return (key, outcome) of warm-ups by wedding; those whose counts were evicted are not there."""
    ids = list(wedding_ids)
    with redis.cache_server().pipeline(transaction=False) as pipe:
        for one in ids:
            pipe.hgetall(WATCHED + one)
            pipe.smembers(READ + one)
        answers = pipe.execute()
    pairs = zip(ids, answers[::2], answers[1::2], strict=True)
    return {id: (facts["key"], _outcome(facts, read)) for id, facts, read in pairs if "key" in facts}


def _outcome(facts: Mapping[str, str], read: Iterable[str]) -> Outcome:
    classes: dict[str, ClassOutcome] = {}
    for field, value in facts.items():
        what, _, name = field.partition(":")
        if name:
            classes[name] = replace(classes.get(name, ClassOutcome()), **{what: int(value)})
    for name in map(class_of, read):
        one = classes.get(name, ClassOutcome())
        classes[name] = replace(one, read=min(one.warmed, one.read + 1))
    return Outcome(classes)


def close(wedding_ids: Iterable[str]) -> None:
    """Watch warm-ups no more."""
    if ids := list(wedding_ids):
        server = redis.cache_server()
        server.unlink(*(WATCHED + one for one in ids), *(READ + one for one in ids))
        server.zrem(WATCHES, *ids)
