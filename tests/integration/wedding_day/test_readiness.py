"""Which weddings are ready, and who hears of what is not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.made import NOON, wedding
from workers.alerts.rules.findings import Breach
from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.usecases import evaluation, operators
from workers.caching.store import results
from workers.cli.main import wedops
from workers.delivery.formats import SendMessage
from workers.delivery.rules import Status
from workers.delivery.usecases import sending
from workers.foundation import clock, database, settings
from workers.foundation.moments import Moment
from workers.notify import store as contacts
from workers.notify import usecases
from workers.notify.rules import Target
from workers.wedding_day import tasks
from workers.wedding_day.rules.readiness import Item, State
from workers.wedding_day.usecases import readiness
from workers.weddings.formats import timeline as formats
from workers.weddings.store import weddings

#: At noon, eight in the morning in New York.
ONE = wedding("w-1", duties={"s1": {"type": "florist"}})
GOOD = [
    {"id": "flowers", "start": "06:00", "end": "07:00", "owner": "florist"},
    {"id": "ceremony", "start": "08:00", "owner": "planner", "after": ["flowers"]},
]


def _import(document: list[dict[str, Any]], **facts: Any) -> None:
    one = replace(ONE, **facts)
    with database.transaction() as db:
        weddings.upsert(db, [replace(one, timeline=formats.document(formats.taken(document, one)))], at=NOON)


@pytest.fixture(autouse=True)
def _calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(-7 * 24))
    _import(GOOD)


def _at(hours: float) -> Moment:
    return Moment(NOON + timedelta(hours=hours))


def _states(hours: float) -> dict[Item, State]:
    return {one.item: one.state for one in readiness.of("w-1", now=_at(hours)).checks}


def _reached() -> None:
    with database.transaction() as db:
        contacts.register(db, Target("planner", "w-1", "mail"), "log://")
        contacts.note_verified(db, Target("planner", "w-1", "mail"))


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["weddings", "ready", *words])


def test_a_list_says_what_is_red_and_who_has_to_see_to_it() -> None:
    assert _states(-100) == {
        Item.TIMELINE: State.GO,
        Item.CONTACTS: State.NO_GO,
        Item.SUPPLIERS: State.NOT_DUE,
        Item.DATA: State.NOT_DUE,
        Item.BACKUPS: State.NOT_DUE,
        Item.WEATHER: State.NOT_DUE,
        Item.ALERTS: State.GO,
        Item.CAPACITY: State.GO,
        Item.FORECAST: State.GO,
    }
    done = _run("w-1")
    assert done.exit_code == 3
    assert (
        "contacts  NO GO    neither planner nor couple nor contacts have an address  (planner)" in done.output
    )
    with database.transaction() as db:
        contacts.register(db, Target("planner", "w-1", "mail"), "log://")
    assert "no message arrived at planner yet" in _run("w-1").output
    assert usecases.send_test("planner", "w-1", key="t") == {Target("planner", "w-1", "mail"): True}
    done = _run("--days", "8")
    assert (done.exit_code, done.output) == (0, "w-1  Sat 2026-10-10 08:00  America/New_York  go\n")
    assert orjson.loads(_run("--json", "--days", "8").output)["weddings"][0]["ready"]


def test_a_timeline_that_cannot_be_is_red() -> None:
    _import([{"id": "ceremony", "start": "08:00"}])
    assert _states(-100)[Item.TIMELINE] is State.NO_GO
    [check] = [one for one in readiness.of("w-1", now=_at(-100)).checks if one.item is Item.TIMELINE]
    assert check.evidence == "ceremony is critical, and nobody owns it"
    _import([])
    assert _states(-100)[Item.TIMELINE] is State.NO_GO


def test_data_is_due_before_set_up() -> None:
    assert _states(-6.5)[Item.DATA] is State.NOT_DUE
    assert _states(-5.5)[Item.DATA] is State.NO_GO
    with database.transaction() as db:
        results.record(db, [results.Result("k", results.WARM_UP, "w-1", {"entries": 3})], at=_at(-6))
    assert _states(-5.5)[Item.DATA] is State.GO


def test_suppliers_that_the_exercise_did_not_reach_are_red() -> None:
    said = SendMessage(wedding_id="w-1", headline="Can we reach you?", status=Status.EXERCISE)
    with database.transaction() as db:
        sending.write(db, said, "k", sender="rehearsal", now=_at(-100))
    for state, expected in (
        ("pending", State.NOT_DUE),
        ("acknowledged", State.GO),
        ("unreachable", State.NO_GO),
    ):
        with database.transaction() as db:
            db.execute(text("UPDATE message_recipients SET state = :state"), {"state": state})
        assert _states(-99)[Item.SUPPLIERS] is expected


def test_an_alert_that_nobody_has_is_red_until_somebody_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    breach = Breach(Kind.CPU, "n1", Severity.HIGH, 0.9, "busy", "us-northeast")
    elsewhere = Breach(Kind.CPU, "n2", Severity.HIGH, 0.9, "busy", "us-west")
    ahead = Breach(Kind.CAPACITY_AHEAD, "day", Severity.HIGH, 2.0, "too full", "us-northeast")
    evaluation.reconcile(
        [breach, elsewhere, ahead], Evaluator.REALTIME, settings.read(Thresholds), now=_at(-100)
    )
    found = _states(-99)
    assert (found[Item.ALERTS], found[Item.CAPACITY]) == (State.NO_GO, State.NO_GO)
    with database.transaction() as db:
        [mine] = [one for one in operators.listing(db) if one.subject == "n1"]
        operators.acknowledge(db, mine.id, by="ada", note="on it", now=_at(-99))
    assert _states(-99)[Item.ALERTS] is State.GO


def test_who_owns_what_is_red_hears_of_it_at_each_mark_once() -> None:
    _import([{"id": "ceremony", "start": "08:00"}])
    _reached()
    for hours in (-7 * 24 - 1, -7 * 24 + 0.1, -7 * 24 + 0.3, -30, -24 + 0.1, -4 + 0.1, -3):
        with database.transaction() as db:
            readiness.check(db, now=_at(hours))
    with database.transaction() as db:
        rows = db.execute(text("SELECT body->>'recipient', body->>'title' FROM outbox ORDER BY id")).all()
    assert [row[0] for row in rows] == ["planner", "planner", "planner", "operations"]
    assert rows[0][1] == "w-1 (Sat 10 Oct 08:00) is not ready: timeline"
    assert rows[3][1] == "w-1 (Sat 10 Oct 08:00) is not ready: data"
    tasks.check_ready()


def test_ten_thousand_are_looked_at_by_a_handful_of_statements() -> None:
    many = [replace(ONE, id=f"m-{number}") for number in range(2_000)]
    with database.transaction() as db:
        weddings.upsert(db, many, at=NOON)
    assert len(readiness.upcoming(timedelta(days=1), now=_at(-12))) == 2_001
