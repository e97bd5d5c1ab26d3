"""Changing the calendar row by row: what became of each, and who must know."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.weddings.formats.rows import Reading
from workers.weddings.rules.calendar import ZONES, Wedding
from workers.weddings.store import versions, weddings
from workers.weddings.usecases import importing

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
    zone = str(row.get("zone"))
    for field in ("start", "end"):
        try:
            local = datetime.fromisoformat(str(row.get(field)))
        except ValueError:
            continue
        if zone not in ZONES or local.tzinfo is not None:
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
        wedding, notes, problem = (None, (), known) if known else _read(row)
        if wedding is not None and wedding.id in read:
            problem = f"id={wedding.id!r} stands in the request before; send each wedding once"
        if problem or wedding is None:
            found.append(Taken(str(row.get("id"))[:128], Outcome.REFUSED, problem=problem))
            continue
        read[wedding.id] = wedding, notes
        found.append(None)
    taken = iter(_taken(db, read, by=by, now=now))
    return [next(taken) if one is None else one for one in found]


def _read(row: Mapping[str, Any]) -> tuple[Wedding | None, tuple[str, ...], str]:
    """Return a row as a wedding, notes of how it was read, and why it is none."""
    try:
        check_times(row)
    except LocalTimeUnclear as error:
        return None, (), str(error)
    reading = Reading()
    if not reading.take("row", row):
        return None, (), reading.refused[0].removeprefix("row: ")
    return reading.weddings[0], tuple(note.removeprefix("row: ") for note in reading.notes), ""


def _taken(
    db: Connection, read: Mapping[str, tuple[Wedding, tuple[str, ...]]], *, by: str, now: Moment
) -> list[Taken]:
    if not read:
        return []
    change = weddings.upsert(db, [one for one, _ in read.values()], at=now)
    importing.note(db, change, by=by, now=now)
    added = {one.id for one in change.difference.added} if change.difference else set()
    after = versions.with_versions(db, read)
    return [
        Taken(id, _outcome(id, change.written, added), after[id][1], notes=notes, wedding=after[id][0])
        for id, (_, notes) in read.items()
    ]


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
