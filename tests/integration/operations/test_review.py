"""Looking back on a day, with all that went wrong on it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.made import NOON, scaled, wedding
from workers.alerts.rules.findings import Breach
from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.alerts.usecases import evaluation
from workers.cli.main import wedops
from workers.delivery.formats import SendMessage
from workers.delivery.usecases import sending
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.usecases import running
from workers.foundation import clock, database, settings
from workers.foundation.moments import Moment
from workers.operations import reviews, tasks
from workers.scaling.rules.actions import Action, instance_hours
from workers.scaling.rules.decision import State
from workers.scaling.store import actions
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot
from workers.wedding_day.formats import ReportMoment, What
from workers.wedding_day.usecases import reporting
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import Status
from workers.weddings.store import weddings

SATURDAY = date(2026, 10, 10)


def _at(hours: float) -> Moment:
    return Moment(NOON + timedelta(hours=hours))


@pytest.fixture(autouse=True)
def _saturday(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two weddings of which one has all the trouble, one that is cancelled, one the day after."""
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    bad = wedding("bad", duties={"s1": {"type": "florist"}})
    timeline = [{"id": "ceremony", "start": "08:00", "owner": "planner"}]
    bad = replace(bad, timeline=formats.document(formats.taken(timeline, bad)))
    with database.transaction() as db:
        calendar = [
            bad,
            wedding("good"),
            wedding("off", status=Status.CANCELLED),
            wedding("later", starts_at=_at(24)),
        ]
        weddings.upsert(db, calendar, at=_at(-99))
        snapshots.append(db, [Snapshot("us-northeast", _at(1), 120), Snapshot("us-northeast", _at(2), 90)])
        actions.move(db, _scaled(db), State.CONFIRMED, at=_at(0))
        said = ReportMoment(wedding_id="bad", what=What.STARTED, moment="ceremony", by="planner", at=_at(0.5))
        reporting.report(db, said, "k", now=_at(0.5))
        storm = OpenEmergency(kind="weather", wedding_id="bad")
        running.open_emergency(db, storm, "storm", now=_at(1))
        late = SendMessage(wedding_id="bad", headline="Later")
        sending.write(db, late, "m", sender="ada", now=_at(1))
        db.execute(text("UPDATE message_recipients SET state = 'unreachable'"))
    breach = Breach(Kind.GUEST_LIST, "bad", Severity.CRITICAL, 9.0, "slow", "us-northeast", "bad")
    evaluation.reconcile([breach], Evaluator.MEASUREMENTS, settings.read(Thresholds), now=_at(2))


def _scaled(db: object) -> Action:
    id = scaled(db, at=_at(0))
    found = actions.find(db, id)  # type: ignore[arg-type]
    assert found is not None
    return found[0]


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["review", *words])


def test_a_day_is_told_with_who_was_affected_forecast_and_cost() -> None:
    found = _run("2026-10-10")
    assert found.exit_code == 0, found.exception
    assert "# Saturday, 10 October 2026" in found.output
    assert "2 weddings, 200 guests, 1 cancelled; affected: 1." in found.output
    assert "| us-northeast | Saturday | 2 | 120 | –, – | 22.00 |" in found.output
    assert "- alerts: 1 critical guest_list" in found.output
    assert "- critical moments: 1 reported, 1 late, 0 of those warned of" in found.output
    why = "critical guest_list; emergency: weather; ceremony late; "
    assert f"- bad (100 guests): {why}" in found.output


def test_money_is_told_where_its_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_INSTANCE_HOUR_PRICE", "0.5")
    assert "| 2 | 120 | –, – | 11.00 |" in _run("2026-10-10").output


def test_a_big_day_is_written_once_two_days_after_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with database.transaction() as db:
        assert reviews.write(db, now=_at(24)) == []
        assert reviews.write(db, now=_at(48)) == [SATURDAY]
        assert reviews.write(db, now=_at(49)) == []
        told = db.execute(text("SELECT body->>'title' FROM outbox WHERE key LIKE 'review/%'")).scalars().all()
    assert told == ["Saturday, 10 Oct: 2 weddings, 1 affected"]
    _put_another()
    assert orjson.loads(_run("--json").output)["weddings"] == 2, "as it was written"
    assert _run("--out", str(tmp_path / "review.md")).exit_code == 0
    assert "# Saturday" in (tmp_path / "review.md").read_text()
    monkeypatch.setattr(clock, "now", lambda: _at(50))
    tasks.review()


def _put_another() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("more")], at=_at(49))


def test_weddings_that_ran_during_a_critical_alert_of_their_region_were_affected() -> None:
    slow = Breach(Kind.RESPONSE_TIME, "us-northeast", Severity.CRITICAL, 9.0, "slow", "us-northeast")
    evaluation.reconcile([slow], Evaluator.MEASUREMENTS, settings.read(Thresholds), now=_at(5))
    assert "- good (100 guests): critical response_time in its region" in _run("2026-10-10").output


def test_a_day_is_told_as_far_as_it_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(1))
    shown = _run("2026-10-10").output
    assert "The day is not over yet" in shown
    assert "| 120 |" not in shown, "that was an hour later"
    monkeypatch.setattr(clock, "now", lambda: _at(-99))
    assert "there is nothing to look back on" in str(_run("2026-10-10").exception)


def test_a_day_without_weddings_says_so() -> None:
    assert "no wedding is on 2026-01-01" in str(_run("2026-01-01").exception)
    assert "no day was looked back on yet" in _run().output


def _action(before: int, to: int, hour: float, state: State = State.CONFIRMED) -> Action:
    with database.transaction() as db:
        id = scaled(db, before=before, to=to, at=_at(hour), expected_previous_id=int(hour * 10) + 1_000)
        found = actions.find(db, id)
    assert found is not None
    return replace(found[0], state=state)


def test_instances_are_counted_by_the_hour_that_they_ran() -> None:
    start, end = datetime.fromisoformat(_at(0).isoformat()), datetime.fromisoformat(_at(10).isoformat())
    used = [_action(2, 4, -5), _action(4, 8, 2), _action(8, 9, 3, State.FAILED), _action(8, 2, 6)]
    assert instance_hours(used, start, end) == 4 * 2 + 8 * 4 + 2 * 4
    assert instance_hours([], start, end) is None
