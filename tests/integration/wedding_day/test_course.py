"""Reports of a wedding's day, and who is warned before it is late."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from tests.made import NOON, wedding
from workers.cli.main import wedops
from workers.commands.store import requests as commands
from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.notify import store as contacts
from workers.notify.rules import Target
from workers.operations.timeline import TABLES
from workers.simulation.rules import days as imagined
from workers.wedding_day import tasks
from workers.wedding_day.formats import ReportMoment, What
from workers.wedding_day.store import days, fits, metrics
from workers.wedding_day.store.tables import reports
from workers.wedding_day.usecases import learning, reporting, showing, watching
from workers.wedding_day.usecases.happened import happened
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import weddings
from workers.weddings.usecases import timelines

CHAIN = [
    {"id": "flowers", "start": "06:00", "end": "07:00", "owner": "florist"},
    {"id": "guests", "start": "07:15", "end": "07:45", "after": ["flowers"]},
    {"id": "ceremony", "start": "08:00", "end": "08:30", "owner": "planner", "after": ["guests"]},
]
#: Its start is at noon in UTC, eight in the morning in New York.
ONE = wedding("w-1", duties={"s1": {"type": "florist"}})


def _import(*calendar: Wedding) -> None:
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=NOON)


def _timed(one: Wedding, document: list[dict[str, Any]] = CHAIN) -> Wedding:
    return replace(one, timeline=formats.document(formats.taken(document, one)))


@pytest.fixture(autouse=True)
def _calendar(world: object) -> None:
    _import(_timed(ONE))


def _at(minutes: float) -> Moment:
    return Moment(NOON + timedelta(minutes=minutes))


def _report(
    what: str,
    moment: str = "",
    *,
    by: str = "planner",
    at: float | None = None,
    now: float = 0,
    key: str = "",
) -> reporting.Taken:
    said = ReportMoment(
        wedding_id="w-1", what=What(what), moment=moment, by=by, at=None if at is None else _at(at)
    )
    with database.transaction() as db:
        return reporting.report(
            db, said, reporting.key_of(said, key or f"{what}/{moment}/{by}/{at}/{now}"), now=_at(now)
        )


def _kept() -> int:
    with database.transaction() as db:
        return len(db.execute(select(reports.c.id)).all())


def _notified() -> list[tuple[str, str]]:
    with database.transaction() as db:
        rows = db.execute(text("SELECT body->>'recipient', body->>'title' FROM outbox ORDER BY id")).all()
    return [(row[0], row[1]) for row in rows]


def _lines(now: float = 0) -> dict[str, showing.Line]:
    return {one.id: one for one in showing.show("w-1", now=_at(now)).lines}


def test_a_day_is_watched_from_a_day_ahead_on_and_followed_when_it_changes() -> None:
    assert watching.watch(now=_at(-25 * 60)).days == 0
    with pytest.raises(showing.DayUnknown, match="begins 24 h before it"):
        showing.show("w-1", now=_at(-25 * 60))
    assert watching.watch(now=_at(-23 * 60)).days == 1
    assert list(_lines()) == ["flowers", "guests", "ceremony"]
    with database.transaction() as db:
        timelines.change(db, "w-1", [{"id": "ceremony", "start": "09:00"}], by="ada", now=NOON)
    watching.watch(now=_at(-60))
    assert [one.planned for one in _lines().values()] == [_at(60)]
    _import(replace(ONE, status=Status.CANCELLED))
    assert watching.watch(now=_at(-50)).days == 0


def test_what_will_be_late_is_told_its_owner_and_the_planner_once_and_before() -> None:
    with database.transaction() as db:
        contacts.register(db, Target("planner", "w-1", "mail"), "log://")
    watching.watch(now=_at(-120))
    assert _notified() == []
    _report("started", "flowers", by="s1", at=-60, now=-58)
    assert watching.watch(now=_at(-30)).warnings == 1
    [(recipient, title)] = _notified()
    assert (recipient, title.startswith("w-1: ceremony will probably start at 08:")) == ("planner", True)
    assert watching.watch(now=_at(-20)).warnings == 0
    watching.watch(now=_at(-10))
    assert len(_notified()) == 1
    assert _lines(-30)["ceremony"].is_warned
    with database.transaction() as db:
        body = db.execute(text("SELECT body->>'body' FROM outbox")).scalar_one()
        [event] = db.execute(
            text("SELECT body FROM journal WHERE name = 'wedding_day.deviation_ahead'")
        ).scalars()
    assert "flowers holds it up." in body
    assert "What can still be shortened or moved: guests." in body
    assert (event["moment"], event["because"]) == ("ceremony", "flowers")


def test_rows_are_written_when_something_changes_and_now_and_then() -> None:
    for minutes in (-300, -299, -298):
        watching.watch(now=_at(minutes))
    with database.transaction() as db:
        assert len(metrics.of_wedding(db, "w-1", limit=9)) == 1
    watching.watch(now=_at(-287))
    _report("started", "flowers", by="s1", at=-119, now=-118)
    _report("arrived", by="s1", at=-130, now=-118)
    watching.watch(now=_at(-117))
    with database.transaction() as db:
        newest, *others = metrics.of_wedding(db, "w-1", limit=9)
    assert len(others) == 2
    facts = ("due", "reported", "in_time", "suppliers", "arrived")
    assert [newest[name] for name in facts] == [1, 1, 1, 2, 1]
    assert newest["moments"].keys() == {"guests", "ceremony"}
    p50, p90, _ = newest["moments"]["ceremony"]
    assert NOON.timestamp() - 60 <= p50 <= p90


def test_a_report_that_comes_twice_changes_nothing_and_a_correction_holds() -> None:
    assert _report("started", "flowers", at=-110, key="k").is_new
    assert not _report("started", "flowers", at=-110, key="k").is_new
    _report("started", "flowers", at=-100)
    assert _lines()["flowers"].started == _at(-100)
    assert _kept() == 2


def test_reports_may_come_in_any_order() -> None:
    _report("ended", "flowers", at=-55)
    _report("started", "flowers", at=-110)
    assert (_lines()["flowers"].started, _lines()["flowers"].ended) == (_at(-110), _at(-55))
    assert _lines()["guests"].p50


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"what": "started", "moment": "flowers", "at": 30}, "is in the future; send when it happened"),
        ({"what": "started", "moment": "flowers", "at": -3000}, "is not of that day: from 2026-10-09 08:00"),
        (
            {"what": "started", "moment": "cake"},
            "moment='cake' is none of its timeline; there are flowers, guests",
        ),
        (
            {"what": "started", "moment": "flowers", "by": "s2"},
            "'s2' may not report flowers started at w-1: it is florist's",
        ),
        (
            {"what": "started", "moment": "ceremony", "by": "s1"},
            "it is planner's; planner, couple and operations",
        ),
        ({"what": "started", "moment": "flowers", "by": "s-99"}, "may not report"),
        (
            {"what": "arrived", "by": "s-99"},
            "'s-99' may not report s-99 arrived at w-1: it does not work there",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ExpectedError) as refused:
        _report(**said)
    assert why in str(refused.value)
    with database.transaction() as db:
        assert db.execute(select(reports.c.id)).all() == []


def test_an_end_before_the_start_is_refused() -> None:
    _report("started", "flowers", at=-60)
    with pytest.raises(reporting.ReportRefused, match="it would end at 06:40, before it started at 07:00"):
        _report("ended", "flowers", at=-80)


def test_of_a_cancelled_wedding_nothing_is_reported() -> None:
    _import(replace(ONE, status=Status.CANCELLED))
    with pytest.raises(reporting.ReportRefused, match="the wedding is cancelled"):
        _report("started", "flowers")


def test_many_who_report_at_once_lose_nothing() -> None:
    watching.watch(now=_at(-300))
    said = [
        ("started", "flowers", -110),
        ("ended", "flowers", -50),
        ("started", "guests", -44),
        ("ended", "guests", -10),
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: _report(one[0], one[1], at=one[2]), said))
        list(pool.map(lambda one: watching.watch(now=_at(one)), (-9, -8)))
    lines = _lines()
    assert (lines["flowers"].ended, lines["guests"].started) == (_at(-50), _at(-44))


def test_two_who_begin_a_day_at_once_lose_nothing() -> None:
    with ThreadPoolExecutor() as pool:
        with database.transaction() as db:
            watching.ensure(db, ONE)
            days.note(db, "w-1", "arrived", "s1", NOON)
            other = pool.submit(_begin_too)
            # It waits for this one.
            assert not other.done()
        other.result()
    with database.transaction() as db:
        assert days.of(db, ["w-1"])[0].arrived.keys() == {"s1"}


def _begin_too() -> None:
    with database.transaction() as db:
        watching.ensure(db, ONE)


def test_reports_and_timelines_come_as_commands_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    tasks.report(wedding_id="w-1", what="started", moment="flowers", by="s1", request_key="r")
    tasks.report(wedding_id="w-1", what="started", moment="flowers", by="s1", request_key="r")
    tasks.change_timeline(wedding_id="w-1", moments=[{"id": "toast", "start": "09:00"}], request_key="t")
    with database.transaction() as db:
        assert (_kept(), commands.waiting(db)) == (1, 0)
    assert [one.id for one in timelines.show("w-1").moments] == ["toast"]


def test_what_past_days_taught_is_what_the_next_look_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, past = np.random.default_rng(3), []
    for number in range(60):
        start = NOON - timedelta(days=7)
        one = imagined.typed(
            wedding(f"p-{number}", starts_at=start, supplier_ids=tuple(f"s{n}" for n in range(5)))
        )
        past.append(replace(one, timeline=formats.document(imagined.timeline(one))))
    _import(*past)
    with database.transaction() as db:
        assert learning.learn(db, now=NOON) == 0
        assert fits.current(db).groups == {("", ""): 0}
    watching.watch(now=Moment(NOON - timedelta(days=7)))
    with database.transaction() as db:
        for one in past:
            for moment, went in zip(
                imagined.timeline(one), imagined.went(one.venue_type, "dry", chance), strict=True
            ):
                for where, at in (("started", went.started), ("ended", went.ended)):
                    days.note(db, one.id, where, moment.id, Moment(one.starts_at + timedelta(minutes=at)))
    monkeypatch.setattr(clock, "now", lambda: NOON)
    tasks.learn()
    with database.transaction() as db:
        found = fits.current(db)
    assert ("ceremony", "garden") in found.groups
    assert 0.01 <= found.missing < 0.05
    assert 0.5 <= found.stretch < 3
    tasks.watch()


def test_what_happened_and_how_it_goes_is_what_people_see() -> None:
    _report("started", "flowers", by="s1", at=-60, now=-58)
    _report("arrived", by="s1", at=-130, now=-58)
    watching.watch(now=_at(-30))
    shown = CliRunner().invoke(wedops, ["weddings", "show", "w-1"]).output
    assert (
        "0 of 2 moments began in time (1 reported); 1 of 2 suppliers have arrived; flowers holds up" in shown
    )
    assert "probably late: guests, ceremony" in shown
    with database.transaction() as db:
        found = [one.what for one in happened(db, _at(-300), limit=9)]
    assert sorted(found)[:2] == ["w-1: flowers started", "w-1: s1 arrived"]
    assert found[0].startswith("w-1: warned that ceremony will probably be ")
    assert happened in TABLES


def test_a_wedding_without_a_timeline_is_watched_in_silence() -> None:
    _import(wedding("w-2"))
    assert watching.watch(now=_at(-300)).days == 2
    assert showing.show("w-2", now=_at(-300)).lines == []


def test_the_clock_of_a_night_with_two_hours_twice() -> None:
    start = datetime(2026, 11, 1, 4, tzinfo=NOON.tzinfo)
    autumn = wedding(
        "w-3",
        starts_at=start,
        starts_local=datetime(2026, 11, 1),
        ends_local=datetime(2026, 11, 1, 5),
        hours=6,
    )
    _import(
        _timed(
            autumn,
            [{"id": "a", "start": "00:30", "end": "01:30"}, {"id": "b", "start": "03:00", "after": ["a"]}],
        )
    )
    now = Moment(start)
    watching.watch(now=now)
    a, b = showing.show("w-3", now=now).lines
    assert (b.planned - a.planned) == timedelta(hours=3, minutes=30)


def test_a_wedding_that_is_moved_to_another_day_begins_anew_and_one_moved_by_an_hour_goes_on() -> None:
    _report("started", "flowers", at=-119, now=-100)
    _report("arrived", by="s1", at=-130, now=-100)
    _import(_timed(wedding("w-1", starts_at=NOON + timedelta(hours=1), duties=ONE.duties)))
    watching.watch(now=_at(-90))
    assert _lines(-90)["flowers"].started == _at(-119)
    _import(_timed(wedding("w-1", starts_at=NOON + timedelta(days=14), duties=ONE.duties)))
    later = Moment(NOON + timedelta(days=14, hours=-3))
    watching.watch(now=later)
    found = showing.show("w-1", now=later)
    assert (found.arrived, found.lines[0].started) == ([], None)


def test_who_was_warned_is_not_warned_again_for_a_change_that_is_none_of_the_plan() -> None:
    _report("started", "flowers", by="s1", at=-60, now=-58)
    assert watching.watch(now=_at(-30)).warnings == 1
    _import(replace(_timed(ONE), guest_count=7))
    assert watching.watch(now=_at(-29)).warnings == 0
    with database.transaction() as db:
        timelines.change(db, "w-1", [*CHAIN[:2], CHAIN[2] | {"start": "08:02"}], by="ada", now=NOON)
    assert watching.watch(now=_at(-28)).warnings == 1


def test_one_bad_day_hides_no_other() -> None:
    _import(*(replace(_timed(ONE), id=f"m-{number}") for number in range(600)))
    watching.watch(now=_at(-300))
    with database.transaction() as db:
        db.execute(text("UPDATE wedding_days SET plan = '{}' WHERE wedding_id = 'w-1'"))
    assert 100 <= watching.watch(now=_at(-299)).days < 601


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"what": "arrived", "moment": "ceremony", "by": "s1"}, "who has arrived names no moment"),
        ({"what": "arrived", "by": "couple"}, "'couple' may not report couple arrived"),
        ({"what": "arrived", "by": "florist"}, "'florist' may not report"),
    ],
)
def test_only_suppliers_arrive(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ExpectedError, match=why):
        _report(**said)
