"""The mode of each wedding, and what was seen of its backup connections."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Text, any_, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from workers.foundation.moments import Moment
from workers.foundation.rows import pairs
from workers.wedding_day.rules.backups import is_missing
from workers.wedding_day.store.tables import modes
from workers.weddings.rules.modes import Mode


@dataclass(frozen=True)
class Kept:
    """A wedding's mode, since when, by whom (`calendar`, or who began it).

    `backups` are (connected, those with a backup that answers) by user type, as they were seen at
    `checked_at`; `missing_since` is since when somebody has had none.
    """

    wedding_id: str
    mode: Mode
    since: datetime
    by: str
    backups: Mapping[str, tuple[int, int]] | None
    checked_at: datetime | None
    missing_since: datetime | None


def follow(db: Connection, wanted: Mapping[str, tuple[Mode, str]], *, at: Moment) -> list[str]:
    """Bring weddings into modes, as (mode, by); return the ids of those that were in another one.

    A wedding that was never armed needs no row to be scheduled or done.
    """
    known = of(db, list(wanted))
    rows = [
        {"wedding_id": id, "mode": mode, "by": by, "since": at}
        for id, (mode, by) in sorted(wanted.items())
        if (mode is not known[id].mode if id in known else mode not in (Mode.SCHEDULED, Mode.DONE))
    ]
    if not rows:
        return []
    statement = insert(modes).values(rows)
    new = {name: statement.excluded[name] for name in ("mode", "by", "since")}
    statement = statement.on_conflict_do_update(
        index_elements=["wedding_id"], set_=new, where=modes.c.mode != statement.excluded.mode
    )
    return list(db.execute(statement.returning(modes.c.wedding_id)).scalars())


def of(db: Connection, ids: Collection[str]) -> dict[str, Kept]:
    """Return the modes of weddings; those that were never armed have none."""
    rows = db.execute(select(modes).where(modes.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))))
    return {row.wedding_id: _kept(row) for row in rows}


def in_mode(db: Connection, wanted: Sequence[Mode]) -> list[Kept]:
    """Return the weddings that are in one of some modes."""
    rows = db.execute(select(modes).where(modes.c.mode.in_(wanted)).order_by(modes.c.wedding_id))
    return [_kept(row) for row in rows]


def forget(db: Connection, ids: Collection[str]) -> None:
    """Forget the modes of weddings that are gone from the calendar."""
    if ids:
        db.execute(delete(modes).where(modes.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))))


def note_backups(db: Connection, seen: Mapping[str, Mapping[str, tuple[int, int]]], *, at: Moment) -> None:
    """Keep what was seen of backup connections, by wedding; since when one is missing goes on."""
    lack = {id for id, backups in seen.items() if is_missing(backups)}
    _note(db, {id: seen[id] for id in lack}, {"missing_since": func.coalesce(modes.c.missing_since, at)}, at)
    _note(db, {id: seen[id] for id in seen.keys() - lack}, {"missing_since": None}, at)


def _note(db: Connection, seen: Mapping[str, Any], more: Mapping[str, Any], at: Moment) -> None:
    own = pairs({id: orjson.dumps(backups).decode() for id, backups in seen.items()}, "backups")
    facts = {"backups": cast(own.c.backups, JSONB), "checked_at": at, **more}
    db.execute(update(modes).where(modes.c.wedding_id == own.c.id).values(facts))


def _kept(row: Any) -> Kept:
    facts = dict(row._mapping)
    backups = facts["backups"] and {kind: tuple(pair) for kind, pair in facts["backups"].items()}
    return Kept(**facts | {"mode": Mode(row.mode), "backups": backups})
