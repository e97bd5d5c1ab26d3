"""Wedding days: those that are watched, and what is known of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Text, any_, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once, pairs, upsert
from workers.wedding_day.rules.course import Day
from workers.wedding_day.rules.plans import Plan, Reported
from workers.wedding_day.store.tables import days, reports
from workers.weddings.rules.timeline import EARLIEST, LATEST


@dataclass(frozen=True)
class WeddingDay:
    """A wedding's day as it is kept; times of moments and arrivals are epoch seconds."""

    wedding_id: str
    version: int
    starts_at: Moment
    over_at: Moment
    venue: str
    suppliers: int
    written_by: str
    written_at: Moment | None
    plan: dict[str, Any]
    started: dict[str, float]
    ended: dict[str, float]
    arrived: dict[str, float]
    warned: list[str]
    guests: int = 0

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
        return replace(
            self,
            written_by=before.written_by,
            written_at=before.written_at,
            started=started,
            ended=ended,
            arrived=arrived,
            warned=before.warned if same else [],
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
        return Day(plan, reported, (now.timestamp() - start) / 60, self.venue)


def begin(db: Connection, begun: Sequence[WeddingDay]) -> None:
    """Watch the days of weddings, or go on with a plan that has changed.

    Reports stay, but those of another day than it is by now; whoever was warned is warned anew where the plan
    or the time is another one. An older version than is known changes nothing.
    """
    # New ones first: of two who begin a day at once the second waits here, and goes on with the first's.
    ordered = sorted(begun, key=lambda one: one.wedding_id)
    new = set(insert_once(db, days, [vars(one.going_on(None)) for one in ordered]))
    known = [one for one in ordered if one.wedding_id not in new]
    query = select(days).where(_among([one.wedding_id for one in known])).order_by(days.c.wedding_id)
    before = {row.wedding_id: WeddingDay(*row) for row in db.execute(query.with_for_update())}
    later = [one for one in known if before[one.wedding_id].version <= one.version]
    upsert(db, days, [vars(one.going_on(before[one.wedding_id])) for one in later])


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
    own = pairs({id: orjson.dumps(moments).decode() for id, moments in warned.items()}, "moments")
    more = days.c.warned.op("||")(cast(own.c.moments, JSONB))
    db.execute(update(days).where(days.c.wedding_id == own.c.id).values(warned=more))


def note_written(db: Connection, told_by: Mapping[str, str], *, at: Moment) -> None:
    """Keep that a row of metrics was written of days, and by what it was told that one had to be."""
    own = pairs(told_by, "told_by")
    facts = {"written_by": own.c.told_by, "written_at": at}
    db.execute(update(days).where(days.c.wedding_id == own.c.id).values(facts))
