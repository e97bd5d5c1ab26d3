"""When each wedding is to be looked at, in Redis."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

from workers.foundation import redis
from workers.foundation.moments import Moment
from workers.weddings.keys import DUE

#: Of a mapping that is as long as the calendar, so many go into one command.
CHUNK = 5_000


def list_due(ids: Iterable[str], *, at: Moment) -> None:
    """Have weddings looked at from `at` on, whatever was listed of them."""
    _list(dict.fromkeys(ids, _score(at)))


def list_again(looks: Mapping[str, datetime], *, at: Moment) -> None:
    """Have each wedding looked at no later than its moment in `looks`; from `at` on where none is listed.

    Redis may have lost them, or a clock that ran ahead, or other settings, have put them off.
    """
    _list(dict.fromkeys(looks, _score(at)), nx=True)
    _list({wedding_id: _score(look) for wedding_id, look in looks.items()}, lt=True)


def take(*, now: Moment, limit: int) -> dict[str, int]:
    """Return the weddings whose turn it is, the longest due first, with what `looked` wants of each.

    They stay due until they were looked at: whoever fails on the way loses none.
    """
    due = redis.registry().zrangebyscore(DUE, "-inf", _score(now), start=0, num=limit, withscores=True)
    return {wedding_id: int(score) for wedding_id, score in due}


def looked(taken: Mapping[str, int], looks: Mapping[str, datetime | None]) -> None:
    """Note when weddings that were taken are to be looked at next; None is never.

    Not of those that were listed anew meanwhile: they have changed.
    """
    arguments = (
        (wedding_id, taken[wedding_id], "" if look is None else _score(look))
        for wedding_id, look in looks.items()
    )
    redis.registry().fcall("wedops_weddings_looked", 1, DUE, *chain.from_iterable(arguments))


def _list(scores: Mapping[str, int], **flags: bool) -> None:
    ids = list(scores)
    for first in range(0, len(ids), CHUNK):
        redis.registry().zadd(DUE, {one: scores[one] for one in ids[first : first + CHUNK]}, **flags)


def _score(at: datetime) -> int:
    return int(at.timestamp() * 1000)
