"""Exercises: each wedding's suppliers are reached a week and a day before, while there is time to mend it."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection

from workers.delivery.formats import SendMessage
from workers.delivery.rules import Audience, Policy, Status
from workers.delivery.usecases import sending
from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.seasons import store as seasons
from workers.seasons.rules.season import Season
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

#: How long before a wedding, and what the exercise is called then.
BEFORE = {"a week": timedelta(days=7), "a day": timedelta(days=1)}
#: A wedding whose moment passed while nothing ran is still rehearsed for so long.
WITHIN = timedelta(hours=6)
#: For so long somebody may answer.
LASTS = timedelta(hours=20)
SENDER = "rehearsal"


def rehearse(db: Connection, *, now: Moment) -> int:
    """Send the exercises that are due, each once, where they are on; return how many."""
    on, asked = is_on(db), list[tuple[SendMessage, str]]()
    for when, before in BEFORE.items():
        due = weddings.between(db, now + before - WITHIN, now + before)
        asked += [
            _exercise(one, when, now)
            for one in due
            if now + before - WITHIN < one.starts_at <= now + before and on(one.region)
        ]
    return sending.send_all(db, asked, sender=SENDER, now=now)


def is_on(db: Connection) -> Callable[[str], bool]:
    """Return what tells whether a region's weddings are rehearsed: all are, or those in a peak season."""
    policy, found = settings.read(Policy), seasons.current(db)
    peak = {region for region, season in found.items() if season is Season.PEAK}
    return lambda region: policy.rehearse or (policy.rehearse_in_season and region in peak)


def _exercise(wedding: Wedding, when: str, now: Moment) -> tuple[SendMessage, str]:
    headline = f"Can we reach you? {when.capitalize()} to go until wedding {wedding.id}"
    body = "This is an exercise. Acknowledge it, so that we know that an urgent message would reach you."
    asked = SendMessage(
        wedding_id=wedding.id,
        headline=headline,
        body=body,
        audience=Audience(planner=False, couple=False),
        status=Status.EXERCISE,
        expires=now + LASTS,
    )
    return asked, f"rehearsal-{when.replace(' ', '-')}-{wedding.starts_local:%Y%m%d%H%M}-{wedding.id}"[:128]
