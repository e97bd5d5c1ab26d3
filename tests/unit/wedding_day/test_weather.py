"""What the weather may do to a wedding."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.made import NOON, wedding
from workers.foundation.moments import Moment
from workers.wedding_day.rules.weather import Hour, Policy, is_asked, mark, outlook, plan_b
from workers.weddings.rules.calendar import VenueType

FAIR = Hour(NOON, 0.0, 0.0, 20.0, 21.0, 1)


def _risk(**facts: object) -> tuple[float, list[str]]:
    found = outlook(wedding(), [replace(FAIR, **facts)], Policy())  # type: ignore[arg-type]
    assert found is not None
    return found.risk, list(found.because)


def test_fair_weather_upsets_nothing() -> None:
    assert _risk() == (0.0, [])


@pytest.mark.parametrize(
    ("facts", "risk", "because"),
    [
        ({"rain": 1.2, "chance": 0.6}, 0.6, "rain 60% (1.2 mm) at 08:00"),
        ({"rain": 0.0, "chance": 0.6}, 0.3, "rain 60% (0 mm) at 08:00"),
        ({"rain": 2.0, "chance": None}, 0.7, "rain 70% (2 mm) at 08:00"),
        ({"code": 96}, 1.0, "thunderstorms at 08:00"),
        ({"gusts": 70.0}, 1.0, "gusts of 70 km/h at 08:00"),
        ({"temperature": 2.0}, 1.0, "2 °C at 08:00"),
        ({"temperature": 39.6}, 1.0, "40 °C at 08:00"),
    ],
)
def test_what_upsets_a_wedding_is_named_with_its_local_hour(
    facts: dict[str, object], risk: float, because: str
) -> None:
    assert _risk(**facts) == (risk, [because])


def test_the_worst_hour_counts_and_hours_beside_the_wedding_do_not() -> None:
    hours = [replace(FAIR, at=NOON + timedelta(hours=h), rain=1.0, chance=h / 10) for h in range(-5, 9)]
    hours[0] = replace(hours[0], code=99)
    found = outlook(
        wedding(hours=6), [replace(one, chance=max(0, one.chance or 0)) for one in hours], Policy()
    )
    assert found is not None
    assert (found.risk, found.because) == (0.5, ["rain 50% (1 mm) at 13:00"])
    assert outlook(wedding(), hours[:2], Policy()) is None


def test_planners_are_warned_at_the_last_mark_that_passed() -> None:
    marks = [mark(wedding(), now=Moment(NOON - timedelta(hours=left))) for left in (49, 48, 24.1, 24, 1, 0)]
    assert marks == [None, "48h", "48h", "24h", "24h", None]


def test_who_is_indoors_or_nowhere_is_not_asked_for() -> None:
    assert is_asked(wedding(geo="40.7100;-74.0100", venue_type=VenueType.BEACH))
    assert not is_asked(wedding(geo="40.7100;-74.0100", venue_type=VenueType.CHURCH))
    assert not is_asked(wedding(venue_type=VenueType.BEACH))


def test_the_prepared_message_says_why_and_is_no_longer_than_a_message_may_be() -> None:
    found = outlook(wedding(id="w" * 100), [replace(FAIR, code=95)], Policy())
    assert found is not None
    headline, text = plan_b(wedding(id="w" * 100), found)
    assert len(headline) <= 160
    assert text.startswith("Because of thunderstorms at 08:00. ")
