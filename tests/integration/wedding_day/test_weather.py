"""The weather ahead, from a real server that answers as Open-Meteo does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.made import NOON, serving, wedding
from workers.cli.main import wedops
from workers.foundation import clock, database
from workers.foundation.moments import Moment
from workers.notify import store as contacts
from workers.notify.rules import Target
from workers.wedding_day import adapters, tasks
from workers.wedding_day.rules.readiness import Item, State
from workers.wedding_day.usecases import readiness, weather
from workers.weddings.rules.calendar import Status, VenueType
from workers.weddings.store import weddings

#: Answers in Open-Meteo's form: of one place an object, of several a list, of a wrong question its reason.
ANSWERS = orjson.loads((Path(__file__).parent / "open_meteo.json").read_bytes())
ONE = wedding("w-1", venue_type=VenueType.BEACH, geo="40.7100;-74.0100")


def _at(hours: float) -> Moment:
    return Moment(NOON + timedelta(hours=hours))


@contextmanager
def _service(answer: Any, status: int = 200) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    asked: list[dict[str, list[str]]] = []

    def _answer(path: str, *_said: object) -> tuple[int, bytes]:
        asked.append(parse_qs(urlsplit(path).query))
        code, body = answer(asked[-1]) if callable(answer) else (status, answer)
        return code, body if isinstance(body, bytes) else orjson.dumps(body)

    with serving(_answer) as port:
        yield f"http://127.0.0.1:{port}", asked


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a storm be forecast for w-1 sixty hours before, and nothing any more."""
    with _service(ANSWERS["storm"]) as (url, _):
        monkeypatch.setenv("WEATHER_URL", url)
        weather.forecast(now=_at(-60))
    monkeypatch.setenv("WEATHER_URL", "")


@pytest.fixture(autouse=True)
def _calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(-40))
    with database.transaction() as db:
        weddings.upsert(db, [ONE, wedding("w-2", venue_type=VenueType.CHURCH, geo=ONE.geo)], at=NOON)
        contacts.register(db, Target("planner", "w-1", "mail"), "log://")


def _told() -> list[tuple[str, str]]:
    with database.transaction() as db:
        rows = db.execute(
            text("SELECT key, body->>'body' FROM outbox WHERE kind = 'notification' ORDER BY id")
        )
        return [(row[0].split("/")[2], row[1]) for row in rows]


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["weddings", "weather", *words])


def test_a_planner_is_warned_two_days_and_a_day_before_once_with_a_plan_b(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _service(ANSWERS["storm"]) as (url, asked):
        monkeypatch.setenv("WEATHER_URL", url)
        assert weather.forecast(now=_at(-60)) == 1
        assert _told() == []
        assert weather.forecast(now=_at(-48)) == 1
        assert weather.forecast(now=_at(-47.5)) == 0
        assert weather.forecast(now=_at(-24)) == 1
    assert [mark for mark, _ in _told()] == ["48h", "24h"]
    assert _told()[0][1].startswith(
        "thunderstorms at 11:00, gusts of 72 km/h at 11:00, rain 85% (6.4 mm) at 11:00. A"
    )
    assert (asked[0]["latitude"], asked[0]["longitude"]) == (["40.7100"], ["-74.0100"])
    assert asked[0]["timeformat"] == ["unixtime"]
    [check] = [one for one in readiness.of("w-1", now=_at(-23)).checks if one.item is Item.WEATHER]
    assert (check.state, check.at) == (State.NO_GO, _at(-24))
    assert Item.WEATHER not in {one.item for one in readiness.of("w-2", now=_at(-23)).checks}
    tasks.forecast_weather()


def test_a_service_that_is_away_or_wrong_takes_nothing_from_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _service(ANSWERS["fair"]) as (url, _):
        monkeypatch.setenv("WEATHER_URL", url)
        weather.forecast(now=_at(-50))
    for answer, status in ((ANSWERS["wrong"], 400), (b"<html>", 502), ({"hourly": {}}, 200), ([], 200)):
        with _service(answer, status) as (url, _):
            monkeypatch.setenv("WEATHER_URL", url)
            weather.forecast(now=_at(-40))
    monkeypatch.setenv("WEATHER_URL", "http://127.0.0.1:9")
    weather.forecast(now=_at(-39))
    assert "risk 2%: rain 5% (0 mm) at 06:00 (as of Thu 06:00)" in _run("w-1").output


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        (ANSWERS["wrong"], 400, "HTTP 400 Latitude must be in range of -90 to 90"),
        (b"<html>", 502, "HTTP 502, and no JSON"),
        ([ANSWERS["fair"]] * 2, 200, "2 answers for 1 places"),
        (b" " * 6_000_000, 200, "its answer takes too long, or is too large"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(answer: Any, status: int, problem: str) -> None:
    with _service(answer, status) as (url, _), pytest.raises(adapters.WeatherUnavailable, match=problem):
        adapters.forecast(url, ["40.7100;-74.0100"])


@pytest.mark.parametrize(
    "hourly",
    [
        {},
        None,
        {"time": [1]},
        {name: [10**18] for name in ANSWERS["fair"]["hourly"]},
        {name: ["nan"] for name in ANSWERS["fair"]["hourly"]},
        {name: [1e308] for name in ANSWERS["fair"]["hourly"]},
    ],
)
def test_a_place_that_cannot_be_read_keeps_no_other_from_its_weather(hourly: Any) -> None:
    with _service([{"hourly": hourly}, ANSWERS["fair"]]) as (url, _):
        found = adapters.forecast(url, ["1.0;1.0", "40.7100;-74.0100"])
    assert found.get("1.0;1.0", []) == []
    assert len(found["40.7100;-74.0100"]) == 114


def test_a_place_that_is_refused_is_found_and_left_out() -> None:
    places = [f"{number}.0000;0.0000" for number in range(7)]

    def _answer(asked: dict[str, list[str]]) -> tuple[int, Any]:
        there = asked["latitude"][0].split(",")
        if "3.0000" in there:
            return 400, ANSWERS["wrong"]
        return 200, [ANSWERS["fair"]] * len(there) if len(there) > 1 else ANSWERS["fair"]

    with _service(_answer) as (url, asked):
        found = adapters.forecast(url, places)
    assert found.keys() == set(places) - {places[3]}
    assert len(asked) <= 8


@pytest.mark.usefixtures("storm")
@pytest.mark.parametrize("change", ["geo", "venue", "cancelled"])
def test_plan_b_is_not_sent_by_the_weather_of_something_else(change: str) -> None:
    facts: dict[str, Any] = {
        "geo": {"geo": "29.7600;-95.3700"},
        "venue": {"venue_type": VenueType.CHURCH},
        "cancelled": {"status": Status.CANCELLED},
    }[change]
    with database.transaction() as db:
        weddings.upsert(db, [replace(ONE, **facts)], at=NOON)
    assert "no weather is known of w-1" in str(_run("w-1", "--send").exception)
    weather.forecast(now=_at(-47))
    assert _told() == []


def test_places_are_asked_for_together_and_the_same_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [replace(ONE, id="w-3"), replace(ONE, id="w-4", geo="29.7600;-95.3700")], at=NOON)
    with _service([ANSWERS["fair"], ANSWERS["storm"]]) as (url, asked):
        monkeypatch.setenv("WEATHER_URL", url)
        assert weather.forecast(now=_at(-40)) == 3
    assert [one["latitude"] for one in asked] == [["40.7100,29.7600"]]
    risks = {one.wedding.id: one.is_risky for one in weather.ahead(now=_at(-40))}
    assert risks == {"w-1": False, "w-3": False, "w-4": True}


@pytest.mark.usefixtures("storm")
def test_a_wedding_that_moved_has_other_weather() -> None:
    moved = {
        "starts_at": _at(-10),
        "ends_at": _at(-4),
        "starts_local": ONE.starts_local - timedelta(hours=10),
    }
    with database.transaction() as db:
        weddings.upsert(db, [replace(ONE, **moved)], at=NOON)
    weather.forecast(now=_at(-30))
    assert _told() == []
    assert "no weather is known of w-1" in str(_run("w-1", "--send").exception)


def test_plan_b_is_sent_once_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    with _service(ANSWERS["storm"]) as (url, _):
        monkeypatch.setenv("WEATHER_URL", url)
        weather.forecast(now=_at(-40))
    assert "prepared: Plan B: w-1 goes on indoors" in _run("w-1").output
    for _ in range(2):
        done = _run("w-1", "--send")
        assert "message plan-b-w-1-20261010T0800 is on its way" in done.output, done.exception
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM messages")).scalar_one() == 1


@pytest.mark.parametrize(
    ("id", "why"), [("w-1", "set WEATHER_URL"), ("w-2", "a wedding at a church is not in the open air")]
)
def test_why_no_weather_is_known(id: str, why: str) -> None:
    assert why in str(_run(id).exception)
    assert "not known: nothing forecasts it; set WEATHER_URL" in _run().output
