"""How many series a source, and each wedding, begin in a day: nobody fills what keeps them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
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


def spend(batch: Batch, source: str, policy: Policy, *, day: date) -> int:
    """Refuse the samples of a batch whose series their source, or their wedding, has no room for that day.

    Return how many series the source may still begin.
    """
    known = _known.setdefault((source, day), set())
    new = [place for place, text in enumerate(batch.series) if text not in known]
    owners = list(_owners([(place, batch.series[place]) for place in new], source, policy))
    asked = [
        (keys.begun(owner, day), [_mark(batch.series[place]) for place in places])
        for owner, places, _ in owners
    ]
    client, full, left = redis.undecoded(), set[int](), policy.series_max
    with client.pipeline(transaction=False) as pipe:
        for key, marks in asked:
            pipe.scard(key)
            if marks:
                pipe.smismember(key, marks)
        answers = iter(pipe.execute())
    with client.pipeline(transaction=False) as pipe:
        for (owner, places, limit), (key, marks) in zip(owners, asked, strict=True):
            room = limit - int(next(answers))
            begins = [
                number for number, is_known in enumerate(next(answers) if marks else ()) if not is_known
            ]
            full |= {places[number] for number in begins[max(0, room) :]}
            if taken := [marks[number] for number in begins[: max(0, room)]]:
                pipe.sadd(key, *taken)
                pipe.expire(key, _KEPT_FOR)
            left = room - len(taken) if owner == source else left
        pipe.execute()
    known.update(batch.series[place] for place in new if place not in full)
    _forget_but(day)
    _refuse(batch, full, policy)
    return max(0, left)


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
