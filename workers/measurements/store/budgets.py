"""How many series a source, and each wedding, begin in a day: nobody fills what keeps them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2s

import numpy as np

from workers.foundation import redis
from workers.measurements import keys
from workers.measurements.rules.limits import Policy
from workers.measurements.rules.samples import Batch, parts

#: In seconds: for how long it is known which series a day had.
_KEPT_FOR = 2 * 86_400
#: By source and day, series that are known to be begun: they are not asked for again.
_known: dict[tuple[str, date], set[str]] = {}


@dataclass
class _Owner:
    """A source or a wedding: where its series are noted, how many it may have, the new ones of a batch."""

    key: str
    limit: int
    places: list[int]
    marks: list[bytes]
    begun: int = 0
    known: Sequence[int] = ()

    @property
    def room(self) -> int:
        """Return how many more it may begin."""
        return max(0, self.limit - self.begun)

    def new(self) -> list[int]:
        """Return which of its marks are not begun yet, by their places in `marks`."""
        return [number for number, is_known in enumerate(self.known) if not is_known]


def spend(batch: Batch, source: str, policy: Policy, *, day: date) -> int:
    """Refuse the samples of a batch whose series their source, or their wedding, has no room for that day.

    Return how many series the source may still begin.
    """
    known = _known.setdefault((source, day), set())
    new = [(place, text) for place, text in enumerate(batch.series) if text not in known]
    owners = [
        _Owner(keys.begun(name, day), limit, places, [_mark(batch.series[place]) for place in places])
        for name, places, limit in _owners(new, source, policy)
    ]
    client = redis.undecoded()
    _look_up(client, owners)
    full = {one.places[number] for one in owners for number in one.new()[one.room :]}
    _begin(client, owners, full)
    known.update(text for place, text in new if place not in full)
    _forget_but(day)
    _refuse(batch, full, policy)
    return owners[0].room


def _look_up(client: redis.Client, owners: Sequence[_Owner]) -> None:
    """Find out how many series each has begun, and which of the new ones are among them."""
    with client.pipeline(transaction=False) as pipe:
        for one in owners:
            pipe.scard(one.key)
            # An answer for each, also where there is nothing new.
            pipe.smismember(one.key, one.marks or [b""])
        answers = pipe.execute()
    for one, begun, known in zip(owners, answers[::2], answers[1::2], strict=True):
        one.begun, one.known = int(begun), known if one.marks else ()


def _begin(client: redis.Client, owners: Sequence[_Owner], full: set[int]) -> None:
    """Note what each begins; what one has no room for uses no other's."""
    with client.pipeline(transaction=False) as pipe:
        for one in owners:
            if taken := [one.marks[number] for number in one.new() if one.places[number] not in full]:
                pipe.sadd(one.key, *taken)
                pipe.expire(one.key, _KEPT_FOR)
                one.begun += len(taken)
        pipe.execute()


def _owners(
    new: Sequence[tuple[int, str]], source: str, policy: Policy
) -> Iterator[tuple[str, list[int], int]]:
    """Yield the source and each wedding, the places of their new series, and how many they may have."""
    of_weddings = defaultdict[str, list[int]](list)
    for place, text in new:
        if id := parts(text)[1].get("wedding_id"):
            of_weddings[id].append(place)
    yield source, [place for place, _ in new], policy.series_max
    for id, places in of_weddings.items():
        yield f"wedding/{id}", places, policy.wedding_series_max


def _mark(text: str) -> bytes:
    return blake2s(text.encode(), digest_size=8).digest()


def _forget_but(day: date) -> None:
    for key in [key for key in list(_known) if key[1] != day]:
        _known.pop(key, None)


def _refuse(batch: Batch, full: set[int], policy: Policy) -> None:
    if not full:
        return
    gone = np.isin(batch.rows["series"], sorted(full))
    batch.rows = batch.rows[~gone]
    remedy = (
        f"a source begins {policy.series_max} series a day at most, a wedding {policy.wedding_series_max}: "
        "have fewer labels, or raise METRICS_INGEST_SERIES_MAX"
    )
    batch.refused[remedy] += int(gone.sum())
