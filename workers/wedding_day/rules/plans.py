"""A timeline as it is computed with: numbers, in an order in which they can be. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from workers.weddings.rules.calendar import Wedding, instant
from workers.weddings.rules.timeline import TimelineMoment, in_order


@dataclass(frozen=True)
class Plan:
    """The moments of a wedding; times in minutes from its start.

    A moment of `levels` n waits for one of n - 1 at least. `edges` are moments, each followed by one that it
    waits for: flat, as thousands of plans are read at once.
    """

    ids: Sequence[str]
    kinds: Sequence[str]
    owners: Sequence[str]
    starts: Sequence[float]
    lengths: Sequence[float]
    critical: Sequence[bool]
    levels: Sequence[int]
    edges: Sequence[int]

    @property
    def waits(self) -> Iterator[tuple[int, int]]:
        """Return (moment, one that it waits for), by place."""
        return zip(self.edges[::2], self.edges[1::2], strict=True)


def compiled(wedding: Wedding, moments: Sequence[TimelineMoment]) -> Plan:
    """Return a wedding's timeline, which was checked, as it is computed with."""
    levels = _levels(moments)
    order = sorted(moments, key=lambda one: (levels[one.id], one.start, one.id))
    place = {one.id: number for number, one in enumerate(order)}
    starts, ends = ([_minutes(wedding, one, end=end) for one in order] for end in (False, True))
    waits = [(place[one.id], place[other]) for one in order for other in one.after]
    return Plan(
        ids=[one.id for one in order],
        kinds=[one.kind for one in order],
        owners=[one.owner for one in order],
        starts=starts,
        lengths=[max(0.0, end - start) for start, end in zip(starts, ends, strict=True)],
        critical=[one.critical for one in order],
        levels=[levels[one.id] for one in order],
        edges=list(chain.from_iterable(waits)),
    )


def _levels(moments: Sequence[TimelineMoment]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in in_order(moments):
        found[one.id] = 1 + max((found[other] for other in one.after), default=-1)
    return found


def _minutes(wedding: Wedding, one: TimelineMoment, *, end: bool) -> float:
    local = one.end if end else one.start
    # A time that clocks skip was refused; one of an earlier version is an hour later.
    at = instant(local, wedding.zone, end=end).at or instant(local + timedelta(hours=1), wedding.zone).at
    return (at - wedding.starts_at).total_seconds() / 60 if at else 0.0


@dataclass(frozen=True)
class Reported:
    """When moments started and ended, as far as that is known: minutes from the wedding's start, by place."""

    started: Mapping[int, float]
    ended: Mapping[int, float]
