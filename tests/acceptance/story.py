"""A Saturday of the demo, from a week before to Monday: played by a clock that jumps, on real servers.

Every job that has to do with weddings runs at each step; their people report as in the demo, once a wedding
late on purpose. What operators see at each stage is told as they would ask for it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import orjson
from click.testing import CliRunner

from demo import days, season
from tests.made import serving
from workers.alerts import tasks as alerts
from workers.caching import tasks as caching
from workers.cli.main import wedops
from workers.connections import tasks as connections
from workers.connections.store import registry
from workers.connections.store.registry import Connection
from workers.delivery import tasks as delivery
from workers.forecasting import tasks as forecasting
from workers.foundation import database
from workers.foundation.moments import Moment
from workers.notify import store as contacts
from workers.notify.rules import Target
from workers.operations import tasks as operations
from workers.scaling import tasks as scaling
from workers.seasons import tasks as seasons
from workers.seasons.rules.venues import PROFILES
from workers.wedding_day import tasks as wedding_day
from workers.wedding_day.formats import ReportMoment, What
from workers.wedding_day.usecases import reporting
from workers.weddings.formats import csv
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import regions
from workers.weddings.usecases import importing

SATURDAY = date(2026, 10, 10)
#: What runs at each step; the others at some of them.
JOBS: tuple[Callable[[], object], ...] = (
    seasons.publish_day,
    wedding_day.list_due,
    wedding_day.look,
    caching.warm,
    wedding_day.forecast_weather,
    wedding_day.optimise,
    wedding_day.watch,
    wedding_day.verify,
    delivery.rehearse,
    forecasting.refresh,
    connections.publish_levels,
    connections.snapshot,
    scaling.decide,
    alerts.watch,
    wedding_day.check_ready,
    operations.review,
)


@dataclass
class Story:
    """What was seen, by stage: what an operator asked, and what they were told."""

    #: The wedding that the story is about, and the suppliers' florist that is late.
    wedding: Wedding
    seen: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    now: Moment = field(init=False)

    def tell(self, stage: str, *words: str) -> str:
        """Ask as an operator; keep and return what the terminal shows."""
        done = CliRunner().invoke(wedops, list(words))
        shown = done.output or str(done.exception)
        self.seen.setdefault(stage, []).append((f"wedops {' '.join(words)}", shown))
        return shown


@contextmanager
def sky(stormy_at: datetime) -> Iterator[str]:
    """Answer as a weather service does: a storm in one hour, at all places."""

    def _answer(path: str, *_said: object) -> tuple[int, bytes]:
        places = parse_qs(urlsplit(path).query)["latitude"][0].split(",")
        hours = _hours(stormy_at)
        return 200, orjson.dumps([hours] * len(places) if len(places) > 1 else hours)

    with serving(_answer) as port:
        yield f"http://127.0.0.1:{port}"


def _hours(stormy_at: datetime) -> dict[str, Any]:
    first = stormy_at.replace(minute=0) - timedelta(hours=72)
    at = [int((first + timedelta(hours=hour)).timestamp()) for hour in range(144)]
    storm = [hour == 72 for hour in range(144)]
    return {
        "hourly": {
            "time": at,
            "precipitation": [4.2 * one for one in storm],
            "precipitation_probability": [80 if one else 5 for one in storm],
            "wind_gusts_10m": [62.0 if one else 15.0 for one in storm],
            "temperature_2m": [19.0] * 144,
            "weather_code": [95 if one else 2 for one in storm],
        }
    }


def chosen() -> Wedding:
    """Take the demo's season in, and return the wedding in the open air that the story is about."""
    start = Moment(datetime(2026, 10, 1, tzinfo=ZoneInfo("UTC")))
    importing.take(csv.read(season.season().encode()), now=start)
    with database.transaction() as db:
        found = regions.of_day(db, SATURDAY)
        own = next(one for one in found if PROFILES[one.venue_type].is_open_air)
        for wedding in found:
            to = Target("planner", wedding.id, "mail")
            contacts.register(db, to, "log://")
            contacts.note_verified(db, to)
    return own


def step(story: Story, at: datetime, set_clock: Callable[[Moment], None]) -> None:
    """Jump to a moment, have people say what has happened by then, and run every job once."""
    story.now = Moment(at)
    set_clock(story.now)
    report(story)
    for job in JOBS:
        job()


def report(story: Story) -> None:
    """Have the wedding's people report what has happened by now; its florist is late."""
    for one in days.reports(story.wedding, now=Moment(story.wedding.starts_at - timedelta(days=1))):
        at = Moment(one.happened + LATE.get(one.moment, timedelta(0)))
        if story.now - timedelta(minutes=30) < at <= story.now:
            fields = {"wedding_id": one.wedding_id, "what": What(one.what), "moment": one.moment}
            command = ReportMoment(**fields, by=one.by, at=at)  # type: ignore[arg-type]
            with database.transaction() as db:
                reporting.report(db, command, f"{one.moment}/{one.what}/{one.by}", now=story.now)


#: By how much the florist is late, and what waits for the flowers.
LATE = dict.fromkeys(("guests_arrive", "ceremony", "cocktail", "group_photos"), timedelta(minutes=70))
LATE |= dict.fromkeys(("couple_photos", "entrance", "speeches", "dinner"), timedelta(minutes=50))
LATE |= dict.fromkeys(("cake", "first_dance", "dancing"), timedelta(minutes=30))
LATE["flowers"] = timedelta(minutes=185)


def people(story: Story) -> None:
    """Have people of the wedding connect; only the couple opens a backup."""
    one = story.wedding
    who = [
        ("couple-1", "couple", "n1", False),
        ("couple-1", "couple", "n2", True),
        ("lead", "planner", "n1", False),
    ]
    who += [(f"guest-{number}", "guest", "n1", False) for number in range(one.guest_count // 2)]
    for user, kind, node, backup in who:
        registry.open(Connection(f"{user}-{node}", user, kind, node, one.region, one.id, backup=backup))


def play(set_clock: Callable[[Moment], None]) -> Story:
    """Play the Saturday from a week before to Monday; return what was seen."""
    story = Story(chosen())
    one = story.wedding
    start, id = one.starts_at, one.id
    stages = (
        ("a week before", timedelta(days=-7), (("weddings", "ready", id), ("weddings", "mode", id))),
        ("two days before", timedelta(days=-2), (("weddings", "weather", id),)),
        ("a day before", timedelta(days=-1), (("weddings", "mode", id), ("gate", "deploy"))),
        (
            "set-up",
            timedelta(hours=-5.5),
            (("weddings", "mode", id), ("weddings", "optimise", "--limit", "4")),
        ),
    )
    for stage, before, asked in stages:
        step(story, start + before, set_clock)
        step(story, start + before + timedelta(minutes=2), set_clock)
        for words in asked:
            story.tell(stage, *words)
    for minutes in range(-300, 241, 10):
        step(story, start + timedelta(minutes=minutes), set_clock)
        if minutes == -120:
            people(story)
        if minutes == -60:
            story.tell("an hour before", "weddings", "day", id)
            story.tell("an hour before", "weddings", "mode", id)
            story.tell("an hour before", "gate", "deploy")
        if minutes == 60:
            story.tell("after the ceremony", "weddings", "day", id)
    step(story, one.ends_at + timedelta(hours=1), set_clock)
    story.tell("the evening", "weddings", "mode", id)
    step(story, start + timedelta(days=2, hours=2), set_clock)
    story.tell("Monday", "review", str(SATURDAY))
    return story
