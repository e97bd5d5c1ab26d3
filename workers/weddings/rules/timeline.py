"""What is to happen at a wedding, moment by moment, and who does it. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workers.weddings.rules.calendar import Wedding, instant, supplier_type

#: A wedding has no more moments, and a moment comes after no more others.
MOMENTS_MAX, AFTER_MAX = 200, 20
#: How long before a wedding the first moment may begin, and how long after it the last one may end.
EARLIEST, LATEST = timedelta(hours=24), timedelta(hours=12)
#: Who may own a moment at each wedding, beside its suppliers and their types.
ROLES = ("couple", "planner", "operations")
#: Moments of these kinds are critical unless it is said otherwise: guests wait for them, and they wait for
#: nobody.
CRITICAL = frozenset({"ceremony", "dinner", "first_dance", "speeches"})


@dataclass(frozen=True)
class TimelineMoment:
    """A moment of a wedding: local wall times, and which others it comes after.

    `kind` is what is learned of past weddings' moments by. `owner` is a role, a type of supplier or a
    supplier's id; empty where nobody is named.
    """

    id: str
    start: datetime
    end: datetime
    kind: str
    owner: str = ""
    after: tuple[str, ...] = ()
    place: str = ""
    critical: bool = False


def owners(wedding: Wedding) -> set[str]:
    """Return who may own a moment of a wedding."""
    types = {supplier_type(wedding, one) for one in wedding.supplier_ids} - {""}
    return {*ROLES, *types, *wedding.supplier_ids}


def too_many(moments: int) -> str | None:
    """Return that a timeline has more moments than a wedding may."""
    remedy = f"{MOMENTS_MAX} at most: put together what goes together"
    return f"has {moments} moments; a wedding has {remedy}" if moments > MOMENTS_MAX else None


def problem(moments: Sequence[TimelineMoment], wedding: Wedding) -> str | None:
    """Return what is wrong with a wedding's timeline, with the remedy; None when it can be."""
    if found := too_many(len(moments)):
        return found
    ids = Counter(one.id for one in moments)
    if twice := [id for id, many in ids.items() if many > 1]:
        return f"has the moment {twice[0]!r} twice; give each an id of its own"
    may_own = owners(wedding)
    for one in moments:
        for found in _problems_of(one, wedding, ids, may_own):
            return f"moment {one.id!r}: {found}"
    if circle := cycle(moments):
        return f"has moments that wait for each other: {' → '.join(circle)}; take one `after` out"
    return None


def _problems_of(
    one: TimelineMoment, wedding: Wedding, known: Collection[str], may_own: Collection[str]
) -> Iterator[str]:
    if one.end < one.start:
        yield f"it ends ({one.end:%H:%M}) before it starts ({one.start:%H:%M})"
    first, last = wedding.starts_local - EARLIEST, wedding.ends_local + LATEST
    if one.start < first or one.end > last:
        bounds = f"from {first:%Y-%m-%dT%H:%M} to {last:%Y-%m-%dT%H:%M}"
        yield f"{one.start:%Y-%m-%dT%H:%M} is outside the wedding: {bounds}"
    for local, end in ((one.start, False), (one.end, True)):
        if wrong := instant(local, wedding.zone, end=end).problem:
            yield wrong
    if one.owner and one.owner not in may_own:
        there = ", ".join(sorted(may_own))
        yield f"owner={one.owner[:80]!r} is nobody of this wedding; there are {there}"
    if len(one.after) > AFTER_MAX:
        yield f"it comes after {len(one.after)} others; name {AFTER_MAX} at most"
    if missing := [other for other in one.after if other not in known]:
        yield f"it comes after {missing[0][:80]!r}, which is no moment of this timeline"


def cycle(moments: Iterable[TimelineMoment]) -> list[str]:
    """Return moments that wait for each other in a circle, the first one also last; empty when none do."""
    after = {one.id: set(one.after) for one in moments}
    while free := [id for id, others in after.items() if not others]:
        for id in free:
            del after[id]
        for others in after.values():
            others.difference_update(free)
    if not after:
        return []
    # Each that is left waits for one that is left: who follows that comes to one again.
    path = [min(after)]
    while (other := min(after[path[-1]])) not in path:
        path.append(other)
    return [*path[path.index(other) :], other][::-1]


def in_order(moments: Sequence[TimelineMoment]) -> list[TimelineMoment]:
    """Return moments so that each stands behind those that it comes after; else by start."""
    waiting = sorted(moments, key=lambda one: (one.start, one.end, one.id))
    there, found = set[str](), list[TimelineMoment]()
    while waiting:
        ready = [one for one in waiting if there.issuperset(one.after)]
        # The earliest of those that can be: two that are ready keep the order of their times.
        found.append(ready[0])
        there.add(ready[0].id)
        waiting.remove(ready[0])
    return found


def conflicts(moments: Sequence[TimelineMoment]) -> list[str]:
    """Return in words what cannot be as it is planned: it can be imported, but somebody has to decide."""
    by_id = {one.id: one for one in moments}
    found = [
        f"{one.id} starts at {one.start:%H:%M}, before {other} ends at {by_id[other].end:%H:%M}"
        for one in moments
        for other in one.after
        if by_id[other].end > one.start
    ]
    for number, one in enumerate(moments):
        for other in moments[number + 1 :]:
            if one.start < other.end and other.start < one.end and one.owner and one.owner == other.owner:
                found.append(f"{one.owner} has {one.id} and {other.id} at the same time")
    return found


def moved(moments: Iterable[TimelineMoment], by: timedelta) -> list[TimelineMoment]:
    """Return moments as they are when their wedding is moved."""
    return [replace(one, start=one.start + by, end=one.end + by) for one in moments]
