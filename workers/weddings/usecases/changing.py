"""Changing the calendar row by row: what became of each, and who must know."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from workers.foundation import database
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.weddings.formats import timeline as timelines
from workers.weddings.formats import zones
from workers.weddings.formats.rows import Reading
from workers.weddings.rules.calendar import ZONES, Wedding
from workers.weddings.store import versions, weddings
from workers.weddings.usecases import importing

#: What is said of a row that row level security keeps from who sends it.
NOT_YOURS = "is, or would be, a wedding that you are not shown"
#: Rows of one request.
ROWS_MAX = 500


class Outcome(StrEnum):
    """What became of a row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True)
class Taken:
    """What became of a row, and why when it was refused; the wedding as it is then, and its version."""

    id: str
    outcome: Outcome
    version: int | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    wedding: Wedding | None = None


class WeddingRefused(ExpectedError):
    """{problem}"""

    http_status = 422


class LocalTimeUnclear(ExpectedError):
    """{field}: {local} {why} in {zone}: it could be {either}; send a local time that there is once"""

    http_status = 422


class WeddingChangedMeanwhile(ExpectedError):
    """{wedding_id} is of version {version} by now, not {expected}: look at it, and change that"""

    http_status = 412


def check_times(row: Mapping[str, Any]) -> None:
    """Refuse a local time that clocks skip or show twice; raises LocalTimeUnclear with both instants."""
    zone = zones.iana(str(row.get("zone")).strip())
    for field in ("start", "end"):
        try:
            local = datetime.fromisoformat(str(row.get(field)).strip())
        except ValueError:
            continue
        if zone not in ZONES or local.tzinfo is not None or not 2000 <= local.year <= 2200:
            # What is wrong there has words of its own.
            continue
        both = [local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
        if both[0] != both[1]:
            exists = both[0].astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local
            raise LocalTimeUnclear(
                field=field,
                local=local.isoformat(),
                why="happens twice" if exists else "does not exist",
                zone=zone,
                instants=(instants := [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in sorted(both)]),
                either=" or ".join(instants),
            )


def take(
    db: Connection, rows: Sequence[tuple[Mapping[str, Any], str]], *, by: str, now: Moment
) -> list[Taken]:
    """Bring the calendar to some rows, each with what is known to be wrong with it.

    Each has a result of its own: one that is refused keeps no other out.
    """
    found: list[Taken | None] = []
    read: dict[str, tuple[Wedding, tuple[str, ...]]] = {}
    for row, known in rows:
        wedding, notes, problem = _read(row, known, read)
        if wedding is None:
            found.append(Taken(str(row.get("id"))[:128], Outcome.REFUSED, problem=problem))
        else:
            read[wedding.id] = wedding, notes
            found.append(None)
    untold = {str(row.get("id")) for row, _ in rows if row.get("timeline") is None}
    taken = iter(_allowed(db, read, untold, by=by, now=now))
    return [next(taken) if one is None else one for one in found]


def _read(
    row: Mapping[str, Any], known: str, before: Container[str]
) -> tuple[Wedding | None, tuple[str, ...], str]:
    """Return a row as a wedding, notes of how it was read, and why it is none."""
    if known:
        return None, (), known
    try:
        check_times(row)
    except LocalTimeUnclear as error:
        return None, (), str(error)
    reading = Reading()
    if not reading.take("row", row):
        return None, (), reading.refused[0].removeprefix("row: ")
    [wedding] = reading.weddings
    if wedding.id in before:
        return None, (), f"id={wedding.id!r} is in the request twice; send each wedding once"
    return wedding, tuple(note.removeprefix("row: ") for note in reading.notes), ""


def _allowed(
    db: Connection,
    read: Mapping[str, tuple[Wedding, tuple[str, ...]]],
    untold: Container[str],
    *,
    by: str,
    now: Moment,
) -> list[Taken]:
    """Take rows; of those that row level security keeps from who sends them, each by itself is refused."""
    try:
        with db.begin_nested():
            return _taken(db, read, untold, by=by, now=now)
    except ProgrammingError as error:
        if not database.is_kept_away(error):
            raise
    if len(read) == 1:
        return [Taken(id, Outcome.REFUSED, problem=f"id={id!r} {NOT_YOURS}") for id in read]
    each = ({id: one} for id, one in read.items())
    return [taken for one in each for taken in _allowed(db, one, untold, by=by, now=now)]


def _taken(
    db: Connection,
    read: Mapping[str, tuple[Wedding, tuple[str, ...]]],
    untold: Container[str],
    *,
    by: str,
    now: Moment,
) -> list[Taken]:
    if not read:
        return []
    change = weddings.upsert(db, _kept(db, read, untold), at=now)
    importing.note(db, change, by=by, now=now)
    added = {one.id for one in change.difference.added} if change.difference else set()
    after = versions.with_versions(db, read)
    return [
        Taken(id, _outcome(id, change.written, added), after[id][1], notes=notes, wedding=after[id][0])
        for id, (_, notes) in read.items()
    ]


def _kept(
    db: Connection, read: Mapping[str, tuple[Wedding, tuple[str, ...]]], untold: Container[str]
) -> list[Wedding]:
    """Return weddings, those of which no timeline was sent with that which they have, on their day."""
    weddings.hold_calendar(db)
    known = {one.id: one for one in weddings.by_id(db, [id for id in read if id in untold])}
    found = []
    for id, (one, _) in read.items():
        kept = timelines.carried(known[id].timeline, known[id].starts_local, one) if id in known else None
        found.append(one if kept is None else replace(one, timeline=kept))
    return found


def _outcome(id: str, written: Container[str], added: Container[str]) -> Outcome:
    if id not in written:
        return Outcome.UNCHANGED
    return Outcome.ADDED if id in added else Outcome.CHANGED


def put(db: Connection, row: Mapping[str, Any], *, expected: int | None, by: str, now: Moment) -> Taken:
    """Bring one wedding to a row, from the version that is expected; 0 for one that must be new.

    Raises WeddingChangedMeanwhile, LocalTimeUnclear, WeddingRefused.
    """
    check_times(row)
    weddings.hold_calendar(db)
    known = versions.with_versions(db, [str(row["id"])]).get(str(row["id"]))
    version = known[1] if known else 0
    if expected is not None and expected != version:
        raise WeddingChangedMeanwhile(wedding_id=row["id"], version=version, expected=expected)
    [taken] = take(db, [(row, "")], by=by, now=now)
    if taken.outcome is Outcome.REFUSED:
        raise WeddingRefused(problem=taken.problem)
    return taken
