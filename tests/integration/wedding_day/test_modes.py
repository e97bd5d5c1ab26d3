"""Modes that follow the calendar, are begun by hand, and whose backup connections are verified."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.made import NOON, wedding
from workers.balancing import usecases as balancing
from workers.balancing.store import Report, report
from workers.cli.main import wedops
from workers.commands.usecases import commands
from workers.connections.formats.permits import Permit
from workers.connections.store import backups, registry
from workers.connections.store.registry import Connection
from workers.foundation import clock, database, redis, settings
from workers.foundation.moments import Moment
from workers.notify import store as contacts
from workers.notify import usecases as notify
from workers.notify.rules import Target
from workers.scaling.rules.policy import Policy as Scaling
from workers.scaling.usecases.readings import readings
from workers.seasons import store as seasons
from workers.seasons import usecases as days
from workers.seasons.rules.season import KindOfDay
from workers.wedding_day import tasks
from workers.wedding_day.formats import BeginMode
from workers.wedding_day.rules.readiness import Item, State
from workers.wedding_day.usecases import happened, looking, modes, readiness
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import Status
from workers.weddings.rules.gate import Change
from workers.weddings.store import due, holds, weddings
from workers.weddings.usecases import gate

TIMELINE = [{"id": "ceremony", "start": "08:00", "owner": "s1"}]
ONE = wedding("w-1", duties={"s1": {"type": "officiant"}, "s2": {"type": "planner"}})
ONE = replace(ONE, timeline=formats.document(formats.taken(TIMELINE, ONE)))


def _at(hours: float) -> Moment:
    return Moment(NOON + timedelta(hours=hours))


@pytest.fixture(autouse=True)
def _calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(-100))
    _put(ONE)


def _put(*many: object) -> None:
    with database.transaction() as db:
        change = weddings.upsert(db, list(many), at=_at(-200))  # type: ignore[arg-type]
    due.list_due(change.written, at=_at(-200))


def _mode(hours: float, id: str = "w-1") -> str:
    looking.look(now=_at(hours))
    with database.transaction() as db:
        query = text("SELECT mode FROM wedding_modes WHERE wedding_id = :id")
        return db.execute(query, {"id": id}).scalar_one_or_none() or "scheduled"


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["weddings", "mode", *words])


def test_a_wedding_goes_through_its_modes_by_itself() -> None:
    hours = (-100, -24, -2, 1, 6, 9)
    assert [_mode(one) for one in hours] == ["scheduled", "armed", "live", "live", "winding_down", "done"]
    with database.transaction() as db:
        told = [one.what for one in happened.happened(db, _at(-200), limit=9)]
    assert set(told) == {f"w-1 is {one}" for one in ("armed", "live", "winding down", "done")}


def test_a_wedding_that_is_moved_or_cancelled_is_in_another_mode_at_once() -> None:
    assert _mode(-1) == "live"
    _put(
        replace(ONE, starts_at=_at(20), ends_at=_at(26), starts_local=ONE.starts_local + timedelta(hours=20))
    )
    assert _mode(-0.9) == "armed"
    _put(replace(ONE, status=Status.CANCELLED))
    assert _mode(-0.8) == "done"


def test_what_redis_lost_is_found_again() -> None:
    assert _mode(-100) == "scheduled"
    redis.registry().flushdb()
    looking.list_due(now=_at(-20))
    assert _mode(-20) == "armed"


def test_live_by_hand_is_live_for_all_of_the_system_and_ends_with_its_time() -> None:
    with database.transaction() as db:
        said = BeginMode(wedding_id="w-1", mode="live", hours=4, reason="rehearsal")
        modes.begin(db, said, by="ada", now=_at(-100))
    assert not gate.verdict(Change.DEPLOY, now=_at(-99)).is_open
    days.publish_day(now=_at(-99))
    assert seasons.kind_of_day(_at(-99)) is KindOfDay.WEDDING_DAY
    with database.transaction() as db:
        frozen = {one.region: one.frozen_until for one in readings(db, settings.read(Scaling), now=_at(-99))}
    assert frozen["us-northeast"] == _at(-96)
    assert _mode(-99) == "live"
    assert _mode(-95.9) == "scheduled"
    assert gate.verdict(Change.DEPLOY, now=_at(-94)).is_open
    days.publish_day(now=_at(-95))
    assert seasons.kind_of_day(_at(-95)) is not KindOfDay.WEDDING_DAY


def test_a_hold_ends_with_its_time_whenever_the_wedding_was_looked_at() -> None:
    assert _mode(-101) == "scheduled"
    with database.transaction() as db:
        said = BeginMode(wedding_id="w-1", mode="live", hours=4, reason="rehearsal")
        modes.begin(db, said, by="ada", now=_at(-100))
    assert _mode(-99) == "live"
    assert _mode(-95.9) == "scheduled"


def test_a_cancelled_wedding_is_held_no_longer() -> None:
    with database.transaction() as db:
        said = BeginMode(wedding_id="w-1", mode="live", hours=20, reason="rehearsal")
        modes.begin(db, said, by="ada", now=_at(-100))
    _put(replace(ONE, status=Status.CANCELLED))
    assert _mode(-99) == "done"
    assert gate.verdict(Change.DEPLOY, now=_at(-99)).is_open
    assert _run("w-1").output.startswith("w-1 is done")


def _begin(hours: float, mode: str = "live", lasts: float = 20, by: str = "ada") -> None:
    said = modes.read({"wedding_id": "w-1", "mode": mode, "hours": lasts, "reason": "rehearsal"})
    with database.transaction() as db:
        modes.begin(db, said, by=by, now=_at(hours))


def test_a_held_wedding_that_moves_to_another_region_is_held_there() -> None:
    _begin(-100)
    _put(replace(ONE, region="eu"))
    assert not gate.verdict(Change.DEPLOY, "eu", now=_at(-99)).is_open


def test_a_wedding_that_is_gone_from_the_calendar_has_no_mode() -> None:
    _begin(-100)
    with database.transaction() as db:
        db.execute(text("DELETE FROM weddings"))
    assert _mode(-99) == "scheduled"
    assert gate.verdict(Change.DEPLOY, now=_at(-99)).is_open
    assert modes.verify(now=_at(-99)) == 0


def test_a_hold_that_is_ended_closes_nothing_and_a_wedding_is_near_once() -> None:
    _begin(-1)
    assert gate.verdict(Change.DEPLOY, now=_at(-1)).weddings == 1
    _begin(-100)
    with database.transaction() as db:
        modes.end(db, "w-1", now=_at(-99.9))
    assert gate.verdict(Change.DEPLOY, now=_at(-99.8)).is_open


def test_nobody_begins_one_as_the_calendar() -> None:
    with pytest.raises(modes.ModeRefused, match="nobody is called calendar"):
        _begin(-100, by="calendar")


def test_of_two_who_begin_one_at_once_the_second_holds() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: _begin(-100 + number / 1e4), range(4)))
    with database.transaction() as db:
        assert len(holds.active(db, at=_at(-99))) == 1


def test_a_hold_that_began_while_its_wedding_was_looked_at_is_seen_by_the_next_look() -> None:
    _begin(-100)
    with database.transaction() as db:
        db.execute(text("UPDATE wedding_modes SET mode = 'scheduled', by = 'calendar'"))
    assert _mode(-99) == "live"


def test_what_no_database_keeps_is_refused_by_name() -> None:
    with pytest.raises(modes.ModeRefused, match="reason has characters that no database keeps"):
        modes.read({"wedding_id": "w-1", "mode": "live", "hours": 1, "reason": "a\0b"})


def test_it_is_begun_and_ended_from_the_terminal_with_contacts() -> None:
    refused = _run("w-1", "--begin", "live", "--for", "2h", "--reason", "rehearsal", "--contact", "aunt")
    assert "'aunt' has no address" in str(refused.exception)
    assert _run("w-1").output == "w-1 is scheduled\n"
    with database.transaction() as db:
        contacts.register(db, Target("aunt", "", "sms"), "log://")
    done = _run(
        "w-1", "--begin", "live", "--for", "2h", "--reason", "rehearsal", "--contact", "aunt", "--by", "ada"
    )
    assert "w-1 is live since Tue 06 Oct 04:00" in done.output, done.output
    assert "held live until Tue 06 Oct 06:00 by ada: rehearsal" in done.output
    with database.transaction() as db:
        assert notify.targets(db, "contacts", "w-1") == [Target("contacts", "w-1", "aunt-sms")]
    assert orjson.loads(_run("w-1", "--json").output)["by_calendar"] == "scheduled"
    assert _run("w-1", "--end").output.endswith("w-1 is scheduled since Tue 06 Oct 04:00\n")
    assert "nobody began one by hand" in str(_run("w-1", "--end").exception)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--begin", "live"), "--begin needs --for and --reason"),
        (("--for", "2h"), "go with --begin"),
        (("--begin", "live", "--end"), "either --begin or --end"),
        (("--begin", "live", "--for", "90h", "--reason", "x"), "it is held from a minute to 48 h"),
        (("--begin", "done", "--for", "1h", "--reason", "x"), "'done' is not one of"),
        (("--begin", "live", "--for", "200h", "--reason", "x"), "hours"),
        (("--begin", "live", "--for", "2h", "--reason", "x" * 501), "reason"),
    ],
)
def test_what_cannot_be_begun_says_why(words: tuple[str, ...], problem: str) -> None:
    found = _run("w-1", *words)
    assert found.exit_code != 0
    assert problem in f"{found.output}{found.exception}"


def test_a_cancelled_wedding_is_not_begun() -> None:
    _put(replace(ONE, status=Status.CANCELLED))
    found = _run("w-1", "--begin", "live", "--for", "1h", "--reason", "x")
    assert "the wedding is cancelled" in str(found.exception)


def test_another_service_begins_it_once_a_key() -> None:
    fields = {"wedding_id": "w-1", "mode": "armed", "hours": 3, "reason": "rehearsal"}
    for _ in range(2):
        commands.accept_all("wedding_day.begin_mode", [fields | {"request_key": "k"}], caller="planning")
        tasks.begin_mode.apply(kwargs=fields | {"request_key": "k"}).get()
    with database.transaction() as db:
        assert db.execute(text("SELECT mode, by FROM wedding_holds")).all() == [("armed", "planning")]


def _open(user: str, kind: str, node: str, *, backup: bool = False, supplier: str | None = None) -> str:
    facts = {"wedding_id": "w-1", "supplier_id": supplier, "backup": backup}
    found = registry.open(Connection(f"{user}-{node}", user, kind, node, "us-northeast", **facts))  # type: ignore[arg-type]
    return found.reason or "ok"


def test_backups_are_verified_while_it_is_live() -> None:
    assert _mode(-2) == "live"
    for user, kind, supplier in (("c1", "couple", None), ("p1", "planner", "s2"), ("v1", "vendor", "s1")):
        assert _open(user, kind, "n1", supplier=supplier) == "ok"
    assert _open("g1", "guest", "n1") == "ok"
    assert _open("v1", "vendor", "n2", backup=True, supplier="s1") == "backup_not_allowed"
    modes.verify(now=_at(-1.9))
    assert _backups(-1.9) == (
        State.NO_GO,
        "without a backup connection: couple 1 of 1, planner 1 of 1, vendor 1 of 1",
    )
    # Who owns the ceremony may have one by now.
    assert _open("v1", "vendor", "n2", backup=True, supplier="s1") == "ok"
    assert _open("c1", "couple", "n2", backup=True) == "ok"
    modes.verify(now=_at(-1.7))
    assert _told() == ["live weddings without backup connections: 1"]
    assert _open("p1", "planner", "n2", backup=True, supplier="s2") == "ok"
    modes.verify(now=_at(-1.5))
    assert _backups(-1.5) == (State.GO, "all 3 have a backup that answers")
    modes.verify(now=_at(-1.4))
    assert len(_told()) == 1
    assert "couple 1 of 1" in _run("w-1").output


def _backups(hours: float) -> tuple[State, str]:
    checks = readiness.of("w-1", now=_at(hours)).checks
    return next((one.state, one.evidence) for one in checks if one.item is Item.BACKUPS)


def _told() -> list[str]:
    with database.transaction() as db:
        return list(
            db.execute(text("SELECT body->>'title' FROM outbox WHERE key LIKE 'backups/%'")).scalars()
        )


def test_a_vendor_is_routed_with_a_backup_while_it_may_have_one() -> None:
    for name in ("n1", "n2"):
        report(Report(name, "us-northeast", f"ws://{name}", 1000, connections=0))
    permit = Permit(user_id="v1", user_type="vendor", wedding_id="w-1", supplier_id="s1")
    assert balancing.route(permit, "us-northeast").backup == ""
    backups.allow(["s1"])
    assert balancing.route(permit, "us-northeast").backup == "n2"
