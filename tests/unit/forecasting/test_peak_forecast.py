"""Loads that follow events: what is expected, how high they may climb, and how many instances that takes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.forecasting.rules.events import AFTER, BEFORE, BINS, DAY, WEEK, Array, Event, expect
from workers.forecasting.rules.fitting import _Fitting, _unrest, fit, quantile_regression
from workers.forecasting.rules.peak_forecast import PeakForecast, Policy
from workers.simulation.rules.ahead import Planner

BOOT, CAPACITY = 10, 100.0


def _load(days: int, events: list[Event], *, seed: int = 7, adds: float = 900.0) -> Array:
    """Return a load with a day's rhythm, noise, and a steep rise at each event that lasts to its end."""
    minutes = np.arange(days * DAY)
    level = 300 + 100 * np.sin(2 * np.pi * minutes / DAY)
    for one in events:
        edges = (one.start - 20, one.start + 5, one.end, one.end + 30)
        level = level + one.weight * adds * np.interp(minutes, edges, (0, 1, 1, 0))
    return np.random.default_rng(seed).poisson(np.maximum(level, 0)).astype(float)


def _evenings(days: int, *, kind: str = "match") -> list[Event]:
    """Return an event every third day, at another hour each time."""
    return [
        Event(day * DAY + 600 + 97 * (day % 5), day * DAY + 720 + 97 * (day % 5), kind)
        for day in range(2, days, 3)
    ]


@pytest.mark.parametrize(
    ("facts", "says"),
    [({"end": 5}, "after start"), ({"weight": 0}, "above 0"), ({"weight": np.inf}, "finite")],
)
def test_an_event_that_is_none_is_refused(facts: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Event(**{"start": 10, "end": 20, "kind": "k"} | facts)  # type: ignore[arg-type]


@given(st.integers(1, 3000))
def test_every_minute_around_an_event_has_a_bin_and_they_never_go_back(lasts: int) -> None:
    one = Event(BEFORE, BEFORE + lasts, "k")
    bins = one.bins(np.arange(0, BEFORE + lasts + AFTER))
    assert (bins.min(), bins.max()) == (0, BINS - 1)
    assert (np.diff(bins) >= 0).all()


def test_what_events_added_before_is_expected_of_the_next() -> None:
    events = _evenings(30)
    now = events[-1].start - 60
    load = _load(30, events)[:now]
    expected = expect(load, 0, events, ahead=DAY)
    during = expected.load[events[-1].start + 10 : events[-1].end - 10].mean()
    assert during == pytest.approx(
        _load(30, events)[events[-1].start + 10 : events[-1].end - 10].mean(), rel=0.15
    )
    assert expect(load, 0, [], ahead=DAY).load[now + 60 : now + 180].max() < 0.7 * during
    assert {0, 1, 2, 3} == set(expected.phase.tolist())


def test_nobody_uses_an_event_before_it_is_known() -> None:
    events = _evenings(30)
    now = events[-1].start - 60
    load = _load(30, events)[:now]
    secret = [*events[:-1], replace(events[-1], known_from=now + 1)]
    assert (expect(load, 0, secret, ahead=DAY).load == expect(load, 0, events[:-1], ahead=DAY).load).all()


def test_the_first_event_of_its_kind_is_doubted_and_a_holiday_is_not() -> None:
    load = _load(10, [])
    first, holiday = (
        Event(10 * DAY + 300, 10 * DAY + 400, "gala"),
        Event(10 * DAY + 600, 11 * DAY + 600, "holiday"),
    )
    doubt = expect(load, 0, [first, holiday], ahead=2 * DAY).doubt
    assert doubt[10 * DAY + 300] == 1.0
    assert doubt[10 * DAY + 700] == 0.0


def test_of_an_event_that_was_seen_the_others_say_what_was_expected() -> None:
    events = _evenings(30)
    load, odd = _load(30, events), events[4]
    load[odd.start : odd.end] += 5_000
    expected = expect(load, 0, events, ahead=DAY)
    during = slice(odd.start + 10, odd.end - 10)
    assert expected.load[during].mean() < 0.5 * load[during].mean()
    assert expected.high[during].min() > 0.9 * load[during].mean(), "but it may come again"


def test_an_only_event_taught_nothing_before_it_was() -> None:
    load = _load(10, [one := Event(8 * DAY + 600, 8 * DAY + 720, "gala")])
    seen = expect(load, 0, [one], ahead=DAY).load[one.start : one.end]
    assert seen == pytest.approx(expect(load, 0, [], ahead=DAY).load[one.start : one.end], rel=0.3)


def test_a_quantile_is_found() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=20_000)
    rows = np.stack([np.ones(20_000), random.normal(size=20_000)], axis=1)
    [level, slope] = quantile_regression(rows, values + 2 * rows[:, 1], 0.9, np.ones(20_000))
    assert level == pytest.approx(1.2816, abs=0.1)
    # The ridge draws it to 0 a little.
    assert slope == pytest.approx(2.0, abs=0.1)


def test_a_promise_holds_as_often_as_it_says() -> None:
    load = _load(16, [])
    forecast = PeakForecast(fit(load[: 15 * DAY], 0, [], boot=BOOT, unit=50, policy=Policy(quantile=0.95)))
    kept = [
        forecast.see(load[at]) >= load[at + 1 : at + 2 + BOOT].max()
        for at in range(15 * DAY, 16 * DAY - BOOT - 1)
    ]
    # A broken promise raises those after it: it holds a little more often.
    assert 0.93 <= np.mean(kept) <= 0.995


@settings(max_examples=20, deadline=None)
@given(st.integers(1, DAY - 1))
def test_one_minute_is_looked_at_as_many_are(later: int) -> None:
    events = _evenings(4)
    load = _load(4, events)
    fitting = _Fitting(load[: 3 * DAY], 0, events, BOOT, 50, Policy())
    forecast = PeakForecast(fitting.result(3 * DAY))
    for value in load[3 * DAY : 3 * DAY + later].tolist():
        forecast.see(value)
    # The same facts, of all that was seen by now.
    fitting.logs = np.log(load + 50)
    fitting.unrest = _unrest(fitting.logs)
    assert forecast._row(later) == pytest.approx(fitting.rows(np.array([3 * DAY + later]))[0], abs=1e-9)


def test_instances_are_there_before_the_event_that_is_in_the_calendar() -> None:
    events = _evenings(24)
    load, last = _load(24, events), events[-1]
    had = {}
    for name, calendar in (("calendar", events), ("none", [])):
        planner = Planner(boot=BOOT, capacity=CAPACITY)
        had[name] = [planner.decide(load[:at], 0, calendar) for at in range(last.start - 40, last.start - 5)]
    needed = int(np.ceil(load[last.start - 5 : last.start + 5].max() / CAPACITY))
    assert had["calendar"][-1] >= needed
    assert had["none"][0] < had["calendar"][-1]
    assert had["calendar"][0] < needed, "and not hours before"


def test_a_broken_promise_raises_those_after_it_and_that_fades() -> None:
    load = _load(9, [])
    calm = PeakForecast(fit(load[: 8 * DAY], 0, [], boot=BOOT, unit=50))
    shaken = PeakForecast(fit(load[: 8 * DAY], 0, [], boot=BOOT, unit=50))
    before = calm.see(load[8 * DAY])
    shaken.see(load[8 * DAY])
    for at in range(1, 4):
        calm.see(load[8 * DAY + at])
        shaken.see(4_000.0)
    after = [(calm.see(load[8 * DAY + at]), shaken.see(load[8 * DAY + at])) for at in range(4, 900)]
    assert after[70][1] > 1.5 * after[70][0] > 0.5 * before
    assert after[-1][1] < 1.1 * after[-1][0]


def test_a_dip_of_a_moment_gives_nothing_up() -> None:
    load = _load(9, [])
    forecast = PeakForecast(fit(load[: 8 * DAY], 0, [], boot=BOOT, unit=50))
    before = forecast.see(load[8 * DAY])
    assert min(forecast.see(5.0) for _ in range(2)) >= before
    assert min(forecast.see(5.0) for _ in range(60)) < 0.5 * before


@given(st.floats(0, 1e5))
@settings(max_examples=20, deadline=None)
def test_no_promise_is_below_the_load_that_is_there(value: float) -> None:
    forecast = PeakForecast(fit(_load(2, []), 0, [], boot=BOOT, unit=50))
    assert forecast.see(value) >= value * (1 - 1e-9)


def test_a_first_of_its_kind_adds_less_where_there_is_less_time() -> None:
    load, gala = _load(9, []), Event(9 * DAY + 30, 9 * DAY + 120, "gala")
    raised = []
    for boot in (2, BOOT, 2 * BOOT):
        with_it, without = (
            PeakForecast(fit(load, 0, events, boot=boot, unit=50)).now() + 50 for events in ([gala], [])
        )
        raised.append(with_it / without)
    assert 1 < raised[0] < 1.2
    assert 1.3 < raised[1] == pytest.approx(raised[2], rel=0.1)


def test_a_planner_learns_anew_when_a_day_is_over_and_when_an_event_becomes_known() -> None:
    events = _evenings(12)
    load = _load(12, events)
    late = [*events[:-1], replace(events[-1], known_from=9 * DAY + 30)]
    planner = Planner(boot=BOOT, capacity=CAPACITY)
    fitted: list[PeakForecast | None] = []
    for at in range(9 * DAY, 10 * DAY + 90, 50):
        planner.decide(load[:at], 0, late)
        if planner._forecast not in fitted:
            fitted.append(planner._forecast)
    # At first, when the last event became known, and a day after that.
    assert len(fitted) == 3


@pytest.mark.parametrize("load", [[], [1.0], [1.0, float("nan")], [1.0, -1.0], [1.0, float("inf")]])
def test_a_load_that_is_none_is_refused(load: list[float]) -> None:
    with pytest.raises(ValueError, match="load must be two or more finite values"):
        PeakForecast(fit(np.array(load), 0, [], boot=BOOT, unit=50))


@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf")])
def test_a_minute_that_is_none_is_refused_and_changes_nothing(value: float) -> None:
    forecast = PeakForecast(fit(_load(2, []), 0, [], boot=BOOT, unit=50))
    before = forecast.now()
    with pytest.raises(ValueError, match="finite number"):
        forecast.see(value)
    assert forecast.now() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantile": 1.0},
        {"quantile": 0.2},
        {"days": 0},
        {"unknown": 0.5},
        {"surprise": 0},
        {"surprise": float("nan")},
        {"half_life": 0},
        {"unknown": float("nan")},
    ],
)
def test_a_policy_that_no_sample_could_show_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_a_load_of_nothing_and_one_without_a_week_need_one_instance() -> None:
    assert Planner(boot=BOOT, capacity=CAPACITY).decide(np.zeros(DAY), 0, []) == 1
    assert (
        Planner(boot=BOOT, capacity=CAPACITY).decide(np.full(5, 10.0), 0, [Event(WEEK, WEEK + 60, "k")]) == 1
    )
    assert Planner(boot=BOOT, capacity=CAPACITY).decide(np.full(500, 300.0), 0, []) == 5
