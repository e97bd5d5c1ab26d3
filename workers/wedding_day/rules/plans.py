"""A timeline as it is computed with: numbers, in an order in which they can be. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.weddings.rules.calendar import Wedding, instant
from workers.weddings.rules.timeline import TimelineMoment, in_order


@dataclass(frozen=True)
class Plan:
    """The moments of a wedding; times in minutes from its start.

    A moment of `levels` n waits for one of n - 1 at least. `edges` are (moment, one that it waits for), by
    the moment's level and place.
    """

    ids: Sequence[str]
    kinds: Sequence[str]
    owners: Sequence[str]
    starts: Sequence[float]
    lengths: Sequence[float]
    critical: Sequence[bool]
    levels: Sequence[int]
    edges: Sequence[tuple[int, int]]


def compiled(wedding: Wedding, moments: Sequence[TimelineMoment]) -> Plan:
    """Return a wedding's timeline, which was checked, as it is computed with."""
    levels: dict[str, int] = {}
    for one in in_order(moments):
        levels[one.id] = 1 + max((levels[other] for other in one.after), default=-1)
    order = sorted(moments, key=lambda one: (levels[one.id], one.start, one.id))
    place = {one.id: number for number, one in enumerate(order)}
    starts = [_minutes(wedding, one, end=False) for one in order]
    ends = [_minutes(wedding, one, end=True) for one in order]
    return Plan(
        [one.id for one in order],
        [one.kind for one in order],
        [one.owner for one in order],
        starts,
        [max(0.0, end - start) for start, end in zip(starts, ends, strict=True)],
        [one.critical for one in order],
        [levels[one.id] for one in order],
        [(place[one.id], place[other]) for one in order for other in one.after],
    )


def _minutes(wedding: Wedding, one: TimelineMoment, *, end: bool) -> float:
    at = instant(one.end if end else one.start, wedding.zone, end=end).at
    # A moment whose time does not exist was refused.
    return (at - wedding.starts_at).total_seconds() / 60 if at else 0.0


@dataclass(frozen=True)
class Reported:
    """When moments started and ended, as far as that is known: minutes from the wedding's start, by place."""

    started: Mapping[int, float]
    ended: Mapping[int, float]
