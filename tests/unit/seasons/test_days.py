"""Which local days are big."""

from datetime import date, timedelta

from workers.seasons.rules.days import days

SATURDAY = date(2026, 10, 10)


def test_saturdays_holidays_and_days_of_many_weddings_are_big_and_others_are_not() -> None:
    thursday, friday = SATURDAY - timedelta(days=2), SATURDAY - timedelta(days=1)
    monday = SATURDAY + timedelta(days=2)
    usual = [("east", SATURDAY + timedelta(days=3 + 7 * week), 4) for week in range(8)]
    booked = [("east", SATURDAY, 9), ("east", friday, 40), ("east", thursday, 3), ("east", monday, 1), *usual]
    found = {one.day: one for one in days(booked, {("east", monday): "Columbus Day"})}
    assert {day for day, one in found.items() if one.is_big} == {SATURDAY, friday, monday}
    assert [found[day].kind for day in (SATURDAY, friday, thursday, monday)] == [
        "Saturday",
        "many weddings",
        "Thursday",
        "Columbus Day",
    ]


def test_each_region_has_its_own_usual_day() -> None:
    small = [("west", SATURDAY + timedelta(days=day), 1) for day in range(1, 7)]
    large = [("east", SATURDAY + timedelta(days=day), 30) for day in range(1, 7)]
    found = days([*small, *large, ("west", SATURDAY - timedelta(days=1), 20)], {})
    assert [(one.region, one.day) for one in found if one.has_many] == [
        ("west", SATURDAY - timedelta(days=1))
    ]
