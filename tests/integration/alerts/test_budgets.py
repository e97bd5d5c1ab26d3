"""Error budgets from points.

An outage pages within a minute, for a region and for a wedding; silence is not health.
"""

from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from tests.made import wedding
from workers.alerts import tasks
from workers.alerts.rules.kinds import Severity
from workers.alerts.rules.lifecycle import AlertView, State
from workers.alerts.store import alerts as store
from workers.cli import main as cli
from workers.foundation import clock, database, partitions
from workers.measurements.rules.samples import Sample
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake
from workers.outbox import store as outbox
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENDING_FOR", "RESOLVE_AFTER"):
        monkeypatch.setenv(f"ALERTS_{name}", "0s")


@pytest.fixture(autouse=True)
def _yesterday(world: object) -> None:
    """Have room for events that a test moves into the day before."""
    days = [clock.machine_now().date() - timedelta(days=back) for back in range(2)]
    with database.transaction() as db:
        for table in ("slo_events", "wedding_slo_events"):
            partitions.make(db, table, days)


def _measure(name: str, values: list[float], *, ago: float = 0, every: float = 1, **labels: str) -> None:
    now = clock.epoch() - ago
    samples = [
        Sample(name, tuple(labels.items()), now - number * every, value)
        for number, value in enumerate(values)
    ]
    assert intake.take(samples, sent_by=intake.Source("test"), now=clock.machine_now()).accepted == len(
        values
    )
    assert intake.write(Writer("test"))[1] == len(values)


def _alerts() -> dict[str, AlertView]:
    tasks.check()
    with database.transaction() as db:
        return {f"{alert.kind}/{alert.subject}": alert for alert in store.listed(db)}


def test_an_outage_pages_after_half_a_minute_and_is_over_when_it_is() -> None:
    _measure("probe_ok", [1.0] * 600, ago=60, region="us-west")
    assert _alerts() == {}
    _measure("probe_ok", [0.0] * 30, region="us-west")
    alert = _alerts()["availability/us-west/availability"]
    assert (alert.severity, alert.region, alert.state) == (Severity.CRITICAL, "us-west", State.FIRING)
    assert "round trips that were tried failed in the last 5 min" in alert.detail


def test_a_total_outage_is_told_within_a_minute_at_the_pace_of_a_wedding_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PENDING_FOR", "RESOLVE_AFTER"):
        monkeypatch.delenv(f"ALERTS_{name}")
    begun = clock.machine_now()
    _measure("critical_operation_ok", [1.0] * 600, ago=1, region="us-west")
    told_after = 0
    for seconds in range(10, 90, 10):
        _measure("critical_operation_ok", [0.0] * 10, ago=-seconds, region="us-west")
        for moment in ("now", "machine_now"):
            monkeypatch.setattr(clock, moment, lambda at=begun + timedelta(seconds=seconds): at)
        tasks.check()
        tasks.escalate()
        with database.transaction() as db:
            if outbox.waiting(db, "notification"):
                told_after = seconds
                break
    # One request a second that all fail: written, seen by a check, seen again, told. Two checks more than the
    # first failures.
    assert 0 < told_after <= 30


def test_what_sends_nothing_any_more_is_no_better() -> None:
    _measure("guest_list_seconds", [3.0] * 30, ago=150, region="us-west")
    [alert] = _alerts().values()
    assert alert.value == pytest.approx(1000), "nothing was measured for two minutes"


def test_two_bad_events_are_chance() -> None:
    _measure("guest_list_seconds", [3.0, 3.0, 0.1], region="us-west")
    assert _alerts() == {}


def test_silence_is_not_health(monkeypatch: pytest.MonkeyPatch) -> None:
    _measure("probe_ok", [0.0] * 30, region="us-west")
    assert _alerts()
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE slo_events SET at = at - interval '20 minutes'")
    assert _alerts()["availability/us-west/availability"].state is State.FIRING
    with database.transaction() as db:
        db.exec_driver_sql("TRUNCATE slo_events")
    assert _alerts()["availability/us-west/availability"].state is State.FIRING


def test_a_wedding_has_a_budget_of_its_own_that_a_region_does_not_feel() -> None:
    now = clock.now()
    with database.transaction() as db:
        weddings.upsert(
            db,
            [wedding("w-1", starts_at=now - timedelta(hours=1), hours=8), wedding("w-2", starts_at=now)],
            at=now,
        )
    _measure("photo_upload_seconds", [1.0] * 8_000, every=0.1, region="us-northeast", wedding_id="w-2")
    _measure("photo_upload_seconds", [9.0] * 4, region="us-northeast", wedding_id="w-1")
    found = _alerts()
    assert list(found) == ["photo_upload/wedding:w-1/photo_upload"]
    [alert] = found.values()
    assert (alert.severity, alert.wedding_id, alert.region) == (Severity.CRITICAL, "w-1", "us-northeast")
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE wedding_slo_events SET at = at - interval '50 minutes'")
    assert [alert.state for alert in _alerts().values()] == [State.FIRING], "silence is not health"
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE wedding_slo_events SET bad = least(bad, 1)")
    _measure("photo_upload_seconds", [1.0] * 9, region="us-northeast", wedding_id="w-1")
    assert [alert.state for alert in _alerts().values()] == [State.RESOLVED]


def test_the_operator_sees_what_is_left(world: Any) -> None:
    _measure("guest_list_seconds", [0.1] * 999 + [3.0], region="us-west")
    done = CliRunner().invoke(cli.wedops, ["slo"])
    assert done.exit_code == 0, done.output
    assert "guest_list" in done.output
    assert "0.0% left" in done.output
    assert "nothing was measured of: availability" in done.output
