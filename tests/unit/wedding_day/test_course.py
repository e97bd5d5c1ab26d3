"""How a day goes on: what is late makes late what waits for it, unless there is slack."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import wedding
from workers.simulation.rules import days as imagined
from workers.wedding_day.rules import course, deviations, fitting, plans
from workers.wedding_day.rules.course import Course, Day
from workers.wedding_day.rules.deviations import Policy
from workers.wedding_day.rules.fitting import Sample
from workers.wedding_day.rules.plans import Reported
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.calendar import VenueType

ONE = wedding(starts_local=datetime(2026, 10, 10, 8), ends_local=datetime(2026, 10, 10, 16), hours=8)
CHAIN = [
    {"id": "flowers", "start": "06:00", "end": "07:00"},
    {"id": "guests", "start": "07:15", "end": "07:45", "after": ["flowers"]},
    {"id": "ceremony", "start": "08:00", "end": "08:30", "after": ["guests"]},
    {"id": "dinner", "start": "11:00", "end": "13:00", "after": ["ceremony"]},
    {"id": "bus", "start": "15:00"},
]
PLAN = plans.compiled(ONE, formats.taken(CHAIN, ONE))
PLACE = {id: place for place, id in enumerate(PLAN.ids)}


def _day(now: float, started: dict[str, float] | None = None, ended: dict[str, float] | None = None) -> Day:
    given = ({PLACE[id]: at for id, at in (times or {}).items()} for times in (started, ended))
    return Day(PLAN, Reported(*given), now, "garden")


def _forecast(day: Day) -> Course:
    [found] = course.forecast([day], fitting.prior(), late_by=15)
    return found


def test_a_plan_is_minutes_from_the_start_in_an_order_that_can_be() -> None:
    assert list(PLAN.ids) == ["flowers", "bus", "guests", "ceremony", "dinner"]
    assert (PLAN.starts[PLACE["flowers"]], PLAN.lengths[PLACE["dinner"]]) == (-120, 120)
    assert PLAN.critical[PLACE["ceremony"]]
    assert not PLAN.critical[PLACE["bus"]]


def test_without_reports_moments_start_about_as_planned_and_never_before_what_they_wait_for() -> None:
    found = _forecast(_day(-600))
    assert 0 <= found.p50[PLACE["flowers"]] + 120 < 10
    assert (found.p50 <= found.p90).all()
    assert found.p50[PLACE["guests"]] >= -45
    assert found.late[PLACE["dinner"]] <= found.late[PLACE["ceremony"]], "there is slack before dinner"


def test_what_is_late_makes_late_what_waits_for_it() -> None:
    found = _forecast(_day(-20, {"flowers": -60}))
    assert found.p50[PLACE["guests"]] >= -10
    assert found.p50[PLACE["ceremony"]] > 15
    assert found.late[PLACE["ceremony"]] > 0.8
    assert found.late[PLACE["bus"]] == pytest.approx(_forecast(_day(-600)).late[PLACE["bus"]])
    assert np.isnan(found.p50[PLACE["flowers"]]), "it has started"


def test_silence_after_its_time_is_a_sign_until_too_much_of_it_is_forgetfulness() -> None:
    before, silent, long = (_forecast(_day(-120 + minutes)) for minutes in (0, 8, 100))
    flowers = PLACE["flowers"]
    assert silent.p50[flowers] > before.p50[flowers]
    assert silent.p90[flowers] > before.p90[flowers]
    assert long.p50[flowers] < -100, "somebody forgot to say so"


def test_what_began_tells_that_what_it_waited_for_is_done() -> None:
    found = _forecast(_day(5, {"ceremony": 2}))
    assert np.isnan(found.p50[PLACE["guests"]])
    assert found.late[PLACE["dinner"]] < 0.2


def test_what_follows_tells_of_all_that_came_before_however_far() -> None:
    for started, ended in (({"dinner": 20.0}, None), (None, {"dinner": 25.0})):
        found = _forecast(_day(30, started, ended))
        assert {id for id in PLAN.ids if np.isnan(found.p50[PLACE[id]])} == {
            "flowers",
            "guests",
            "ceremony",
            "dinner",
        }


def test_days_beside_each_other_are_as_they_are_alone() -> None:
    many = [
        _day(-20, {"flowers": -60}),
        _day(-600),
        replace(_day(0), plan=_empty()),
        _day(5, {"ceremony": 2}),
    ]
    together = course.forecast(many, fitting.prior(), late_by=15)
    for day, found in zip(many, together, strict=True):
        [alone] = course.forecast([day], fitting.prior(), late_by=15)
        np.testing.assert_array_equal(found.p90, alone.p90)
    assert course.forecast([], fitting.prior(), late_by=15) == []


def _empty() -> plans.Plan:
    return plans.compiled(ONE, [])


@given(st.integers(-700, 700), st.integers(0, 2**32 - 1))
def test_whatever_was_reported_a_forecast_is_in_the_future_and_in_order(now: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    plan = plans.compiled(ONE, imagined.timeline(ONE))
    went = dict(
        zip(
            (one.id for one in imagined.timeline(ONE)),
            imagined.went(VenueType.GARDEN, "dry", chance),
            strict=True,
        )
    )
    own = [went[id] for id in plan.ids]
    started = {place: one.started for place, one in enumerate(own) if one.start_reported <= now}
    ended = {place: one.ended for place, one in enumerate(own) if one.end_reported <= now}
    [found] = course.forecast(
        [Day(plan, Reported(started, ended), now, "garden")], fitting.prior(), late_by=15
    )
    open_ = ~np.isnan(found.p50)
    assert (found.p50[open_] <= found.p90[open_] + 0.01).all()
    assert ((found.late[open_] >= 0) & (found.late[open_] <= 1)).all()
    assert not set(np.flatnonzero(open_).tolist()) & started.keys()


def test_what_is_learned_is_of_the_kind_and_the_venue_and_leans_on_all_where_little_is_known() -> None:
    slow = [Sample("dinner", "garden", 30.0, 1.2, 30.0)] * 200
    quick = [Sample("ceremony", "church", 0.0, 1.0, 0.0)] * 200
    found = fitting.fit([*slow, *quick, Sample("cake", "garden", 90.0, 1.0, 90.0)])
    medians = {
        name: float(np.median(found.delays[found.row(*group)]))
        for name, group in {
            "dinner": ("dinner", "garden"),
            "ceremony": ("ceremony", "church"),
            "cake": ("cake", "garden"),
            "unknown": ("toast", "beach"),
        }.items()
    }
    assert medians["dinner"] == pytest.approx(30)
    assert medians["ceremony"] == pytest.approx(0)
    assert medians["cake"] < 60, "one says little"
    assert found.row("toast", "beach") == 0
    assert found.shares[found.row("dinner", "garden")][1].mean() == pytest.approx(1.2, abs=0.1)


def test_who_is_warned_of_what_and_what_can_still_move() -> None:
    day = _day(-20, {"flowers": -60})
    found = _forecast(day)
    [one] = deviations.ahead(day, found, Policy(), warned=())
    assert (PLAN.ids[one.place], PLAN.ids[one.because]) == ("ceremony", "flowers")
    assert [PLAN.ids[place] for place in one.movable] == ["guests"]
    assert one.p90 >= one.p50 > 15
    assert deviations.ahead(day, found, Policy(), warned=["ceremony"]) == []
    assert deviations.bottleneck(day, found) == "flowers"
    assert deviations.bottleneck(_day(-600), _forecast(_day(-600))) in (
        "",
        "flowers",
        "guests",
        "ceremony",
        "dinner",
    )


def test_adherence_counts_what_was_due() -> None:
    found = deviations.adherence(_day(1, {"flowers": -119, "guests": -20}), Policy())
    assert (found.due, found.reported, found.in_time) == (3, 2, 1)


@pytest.mark.parametrize("given", [{"warn_at": 0.0}, {"warn_at": 1.0}, {"late_by": "0s"}])
def test_a_policy_that_warns_of_everything_or_nothing_is_refused(given: dict[str, Any]) -> None:
    from datetime import timedelta

    facts = {name: timedelta(0) if value == "0s" else value for name, value in given.items()}
    with pytest.raises(ValueError, match="must"):
        Policy(**facts)
