"""Wedding days: those that are watched, and what is known of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    any_,
    column,
    func,
    literal,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation.moments import Moment
from workers.foundation.rows import copy, insert_once
from workers.wedding_day.rules.course import Day
from workers.wedding_day.rules.plans import Plan, Reported
from workers.wedding_day.store.tables import days, reports
from workers.weddings.rules.timeline import EARLIEST, LATEST

_COLUMNS = [one.name for one in days.c]
_DOCUMENTS = frozenset({"plan", "started", "ended", "arrived", "warned"})


@dataclass(frozen=True)
class WeddingDay:
    """A wedding's day as it is kept; times of moments and arrivals are epoch seconds."""

    wedding_id: str
    version: int
    starts_at: Moment
    over_at: Moment
    venue: str
    weather: str
    suppliers: int
    plan: dict[str, Any]
    started: dict[str, float]
    ended: dict[str, float]
    arrived: dict[str, float]
    warned: list[str]

    def going_on(self, before: "WeddingDay | None") -> "WeddingDay":
        """Return it with what was known of it before."""
        if before is None:
            return self
        first, last = self.starts_at - EARLIEST, self.over_at + LATEST
        kept = [
            {name: at for name, at in times.items() if first.timestamp() <= at <= last.timestamp()}
            for times in (before.started, before.ended, before.arrived)
        ]
        same = (before.plan, before.starts_at) == (self.plan, self.starts_at)
        started, ended, arrived = kept
        warned = before.warned if same else []
        return replace(
            self, started=started, ended=ended, arrived=arrived, warned=warned, weather=before.weather
        )

    def day(self, *, now: Moment) -> Day:
        """Return it as it is computed with."""
        plan, start = Plan(**self.plan), self.starts_at.timestamp()
        place = {id: number for number, id in enumerate(plan.ids)}
        started, ended = (
            {place[id]: (at - start) / 60 for id, at in times.items() if id in place}
            for times in (self.started, self.ended)
        )
        reported = Reported(started, ended)
        return Day(plan, reported, (now.timestamp() - start) / 60, self.venue, self.weather)


def begin(db: Connection, begun: Sequence[WeddingDay]) -> None:
    """Watch the days of weddings, or go on with a plan that has changed.

    Reports stay, but those of another day than it is by now; whoever was warned is warned anew where the plan
    or the time is another one. An older version than is known changes nothing.
    """
    query = select(days).where(_among([one.wedding_id for one in begun])).order_by(days.c.wedding_id)
    before = {row.wedding_id: WeddingDay(*row) for row in db.execute(query.with_for_update())}
    new = [
        one.going_on(before.get(one.wedding_id))
        for one in begun
        if one.wedding_id not in before or before[one.wedding_id].version <= one.version
    ]
    if not new:
        return
    db.execute(text("CREATE TEMPORARY TABLE beginning (LIKE wedding_days INCLUDING DEFAULTS) ON COMMIT DROP"))
    rows = (
        [Jsonb(value) if name in _DOCUMENTS else value for name, value in vars(one).items()] for one in new
    )
    copy(db, "beginning", _COLUMNS, rows)
    beginning = table("beginning", *(column(name) for name in _COLUMNS))
    statement = insert(days).from_select(
        _COLUMNS, select(*(beginning.c[name] for name in _COLUMNS)).order_by(beginning.c.wedding_id)
    )
    own = {name: statement.excluded[name] for name in _COLUMNS[1:]}
    db.execute(statement.on_conflict_do_update(index_elements=["wedding_id"], set_=own))
    db.execute(text("DROP TABLE beginning"))


def _row(one: WeddingDay) -> list[Any]:
    return [Jsonb(value) if name in _DOCUMENTS else value for name, value in vars(one).items()]


def versions(db: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return of which version of the wedding each day that is watched is planned."""
    query = select(days.c.wedding_id, days.c.version).where(_among(ids))
    return {row[0]: row[1] for row in db.execute(query)}


def of(db: Connection, ids: Sequence[str]) -> list[WeddingDay]:
    """Return the days of weddings that are watched."""
    return [WeddingDay(*row) for row in db.execute(select(days).where(_among(ids)))]


def _among(ids: Sequence[str]) -> ColumnElement[bool]:
    return days.c.wedding_id == any_(literal(list(ids), ARRAY(Text)))


def find(db: Connection, wedding_id: str) -> WeddingDay | None:
    """Return a wedding's day; None while it is not watched."""
    row = db.execute(select(days).where(days.c.wedding_id == wedding_id)).one_or_none()
    return WeddingDay(*row) if row else None


def hold(db: Connection, wedding_id: str) -> WeddingDay:
    """Return a wedding's day, which is watched, and keep others from changing it."""
    query = select(days).where(days.c.wedding_id == wedding_id).with_for_update()
    return WeddingDay(*db.execute(query).one())


def past(db: Connection, since: datetime, until: datetime, *, limit: int) -> Iterator[WeddingDay]:
    """Yield days that were over in [since, until), the newest first."""
    own = (days.c.over_at >= since) & (days.c.over_at < until)
    query = select(days).where(own).order_by(days.c.over_at.desc()).limit(limit)
    for row in db.execute(query):
        yield WeddingDay(*row)


def report(db: Connection, row: Mapping[str, Any]) -> bool:
    """Remember what was said, once a key; tell whether it is new."""
    return bool(insert_once(db, reports, [row]))


def note(db: Connection, wedding_id: str, where: str, name: str, at: Moment) -> None:
    """Keep when a moment started or ended, or somebody arrived: `where` is the column."""
    own = days.c[where].op("||")(func.jsonb_build_object(name, at.timestamp()))
    db.execute(update(days).where(days.c.wedding_id == wedding_id).values({where: own}))


def note_warned(db: Connection, warned: Mapping[str, Sequence[str]]) -> None:
    """Keep which moments somebody was warned of, by wedding."""
    for wedding_id, ids in warned.items():
        own = days.c.warned.op("||")(literal(list(ids), days.c.warned.type))
        db.execute(update(days).where(days.c.wedding_id == wedding_id).values(warned=own))
