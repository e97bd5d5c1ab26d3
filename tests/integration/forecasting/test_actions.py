"""Forecasts compared with what was seen, shares learned from rows, past spans replayed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.made import wedding
from workers.forecasting.rules import forecast as rules
from workers.forecasting.rules.calibration import Trust
from workers.forecasting.store import forecasts as store
from workers.forecasting.usecases import forecasts as forecast_usecases
from workers.foundation import database
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.store import orders
from workers.seasons import store as seasons
from workers.seasons.rules.season import Decision, Reason, Season
from workers.simulation import usecases as simulation
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import versions, weddings

pytestmark = pytest.mark.usefixtures("world")
NOW = datetime(2026, 10, 12, 6, tzinfo=UTC)
REGION = "us-northeast"
SATURDAYS = [NOW - timedelta(days=2, hours=12) - timedelta(weeks=weeks) for weeks in range(4)]


def _held(number: int = 12) -> list[Wedding]:
    return [
        wedding(f"w-{week}-{one}", starts_at=start + timedelta(minutes=30 * one), guest_count=150)
        for week, start in enumerate(SATURDAYS)
        for one in range(number)
    ]


def _measure(held: list[Wedding], times: float, *, since: datetime) -> None:
    """Write a snapshot each five minutes: `times` what the calendar says."""
    policy = rules.Policy(horizon=NOW - since)
    made = rules.forecast(REGION, held, policy, Phases(), starts_at=rules.grid(since, policy))
    values = np.round(made.quantiles["p50"] * times).astype(int).tolist()
    with database.transaction() as db:
        snapshots.append(
            db,
            [
                Snapshot(REGION, made.starts_at + number * made.step, count)
                for number, count in enumerate(values)
            ],
        )


@pytest.mark.parametrize(
    ("times", "trust"), [(1.0, Trust.TRUSTED), (1.7, Trust.WIDER), (9.0, Trust.REACTIVE)]
)
def test_a_forecast_that_was_wrong_for_days_is_trusted_less(times: float, trust: Trust) -> None:
    held = _held()
    with database.transaction() as db:
        weddings.upsert(db, held, at=NOW - timedelta(days=60))
    _measure(held, times, since=NOW - timedelta(days=3))
    with database.transaction() as db:
        # On a wedding day one is made each ten minutes.
        for number in range(432, 0, -1):
            at = NOW - timedelta(minutes=10 * number)
            near = [one for one in held if one.ends_at > at - timedelta(hours=9)]
            store.record(
                db,
                [rules.forecast(REGION, near, rules.Policy(), Phases(), starts_at=at)],
                version=number,
                at=at,
            )
        scores = forecast_usecases.evaluate(db, now=NOW)
        assert forecast_usecases.evaluated(db, now=NOW) == scores
        score = scores[REGION]
        assert score.trust is trust
        expected = forecast_usecases.expected(db, {REGION: timedelta(hours=1)}, now=NOW - timedelta(hours=1))
        assert forecast_usecases.evaluated(db, now=NOW + timedelta(days=2)) == {}, "an old verdict is none"
        horizons = store.evaluated(db, since=NOW - timedelta(days=1), until=NOW)[REGION]
    assert set(horizons) == {60, 360, 1440}
    assert score.pairs >= 48
    assert expected.keys() == {REGION}
    assert (score.margin > 1) == (trust is Trust.WIDER)


def test_what_was_said_weeks_ahead_is_judged_for_the_whole_day() -> None:
    held = _held()
    with database.transaction() as db:
        weddings.upsert(db, held, at=NOW - timedelta(days=60))
    _measure(held, 1.0, since=NOW - timedelta(days=3))
    with database.transaction() as db:
        assert (store.far_since(db), forecast_usecases.far(db, now=NOW - timedelta(days=33))) != (None, [])
        for hours in range(33 * 24, 0, -6):
            at = NOW - timedelta(hours=hours)
            store.record(db, forecast_usecases.far(db, now=at), version=1, at=at, far=True)
        assert store.count(db) == 33, "one a day"
        assert store.latest(db) == {}, "nothing is decided by them"
        assert store.peaks(db, NOW, NOW + timedelta(hours=1)) == {}
        forecast_usecases.evaluate(db, now=NOW)
        found = store.evaluated(db, since=NOW - timedelta(days=1), until=NOW)[REGION]
        # The clock had gone a month ahead, and came back.
        store.record(
            db,
            forecast_usecases.far(db, now=NOW + timedelta(days=31)),
            version=1,
            at=NOW + timedelta(days=31),
            far=True,
        )
        assert forecast_usecases.far(db, now=NOW)
        store.forget(db, before=NOW, far_before=NOW - forecast_usecases.far_kept(rules.Policy()))
        assert store.count(db) == 33
    assert set(found) == {7 * 1440, 28 * 1440}
    for score in found.values():
        # Two or three days by the hour, without the hours in which nobody is there.
        assert 12 <= score.pairs <= 72
        assert score.coverage["p90"] >= 0.85
        assert abs(score.bias) < 0.2


def test_what_past_weddings_teach_changes_the_next_forecast() -> None:
    held, coming = _held(), wedding("w-next", starts_at=NOW + timedelta(hours=2), guest_count=150)
    with database.transaction() as db:
        weddings.upsert(db, [*held, coming], at=NOW - timedelta(days=60))
        before = forecast_usecases.by_calendar(db, now=NOW, horizon=timedelta(days=1))[0]
        assert forecast_usecases.learn(db, now=NOW) == 0
    _measure(held, 0.6, since=NOW - timedelta(days=27))
    with database.transaction() as db:
        assert forecast_usecases.learn(db, now=NOW) == 1
        parameters = store.parameters(db)
        after = forecast_usecases.by_calendar(db, now=NOW, horizon=timedelta(days=1))[0]
    assert set(parameters) == {REGION, store.EVERY}
    at = NOW + timedelta(hours=5)
    assert 0.5 < (after.peak(at, at, "p50") or 0) / (before.peak(at, at, "p50") or 1) < 0.8


def test_the_calendar_is_remembered_as_it_was_known() -> None:
    one, start = wedding("w-1", starts_at=NOW), NOW - timedelta(days=1)
    moved = replace(one, starts_at=NOW + timedelta(days=7), ends_at=one.ends_at + timedelta(days=7))
    with database.transaction() as db:
        for days, known in ((30, one), (20, moved), (10, replace(moved, status=Status.CANCELLED))):
            weddings.upsert(db, [known], at=NOW - timedelta(days=days))
            weddings.upsert(db, [known], at=NOW - timedelta(days=days - 1))
        known = [
            [
                found.starts_at
                for found in versions.as_known(db, NOW - timedelta(days=days), start, NOW + timedelta(days=9))
            ]
            for days in (31, 25, 15, 5)
        ]
    assert known == [[], [NOW], [moved.starts_at], []]


def test_a_past_saturday_is_played_again_and_one_that_was_not_measured_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTLOOK_EVERY", "10")
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "150")
    held = _held()
    with database.transaction() as db:
        weddings.upsert(db, held, at=NOW - timedelta(days=60))
    _measure(held, 1.1, since=NOW - timedelta(days=4))
    with database.transaction() as db:
        outcome, past, supply = simulation.played(db, REGION, NOW - timedelta(days=3), NOW, now=NOW)
        with pytest.raises(simulation.SpanUnmeasured, match="us-west was not measured"):
            simulation.played(db, "us-west", NOW - timedelta(days=3), NOW, now=NOW)
        with pytest.raises(simulation.SpanUnmeasured):
            simulation.played(db, REGION, NOW + timedelta(days=3), NOW + timedelta(days=4), now=NOW)
        with pytest.raises(simulation.CalendarForgotten, match="RETENTION_KEEP_DAYS"):
            simulation.played(db, REGION, NOW - timedelta(days=3), NOW, now=NOW + timedelta(days=400))
    assert outcome.minutes == len(supply) == pytest.approx(3 * 1440, abs=10)
    assert outcome.needed >= 4
    assert outcome.short <= 0.5
    assert outcome.saved > 30
    assert len(past.load) > outcome.minutes


def test_a_span_is_played_with_the_season_and_the_orders_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLOOK_EVERY", "10")
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "150")
    held, start = _held(1), NOW - timedelta(days=1)
    peak, ordered = start + timedelta(hours=18), start + timedelta(hours=4)
    with database.transaction() as db:
        weddings.upsert(db, held, at=NOW - timedelta(days=60))
        orders.give(
            db, Order(REGION, Kind.EMERGENCY, "a test", "tester", ordered, ordered + timedelta(hours=3), 9)
        )
        orders.end(db, REGION, Kind.EMERGENCY, by="tester", at=ordered + timedelta(hours=2))
        seasons.record(db, {REGION: Decision(Season.PEAK, Reason.BOOKINGS, 2.0)}, at=peak)
    _measure(held, 1.0, since=NOW - timedelta(days=4))
    with database.transaction() as db:
        _, past, supply = simulation.played(db, REGION, start, NOW, now=NOW)
    assert [past.given(at).emergency for at in (ordered, ordered + timedelta(hours=2))] == [9, 0]
    minute = int((ordered - start).total_seconds() // 60)
    assert supply[minute - 10] == 2
    assert supply[minute + 5 : minute + 120].tolist() == [9] * 115
    assert supply[-60] == 3, "what there is at least in a peak season"
