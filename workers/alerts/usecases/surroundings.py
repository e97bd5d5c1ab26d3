"""Whom alerts hurt now, and where it says what to do about them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Kind
from workers.alerts.rules.lifecycle import AlertView
from workers.alerts.rules.muting import Around
from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.snapshots import store as snapshots
from workers.weddings.rules import calendar
from workers.weddings.store import holds, weddings
from workers.weddings.store import regions as regions_of


@dataclass(frozen=True)
class Runbooks:
    """`url` is where the pages on each kind of alert are: RUNBOOK_URL."""

    prefix: ClassVar = "RUNBOOK_"

    url: str = "docs/runbooks"


def runbook(kind: Kind | str) -> str:
    """Return where it says what to do about a kind of alert."""
    return f"{settings.read(Runbooks).url.rstrip('/')}/{kind}.md"


def of(db: Connection, alerts: Sequence[AlertView], *, now: Moment) -> dict[int, Around]:
    """Return whom each alert hurts: the guests of its wedding, or all who are connected in its region."""
    phases = settings.read(calendar.Policy)
    connected_users = {
        row.region: row.connections for row in snapshots.latest(db, since=now - timedelta(minutes=30))
    }
    near = _near(db, phases, now)
    regions = {
        one: Around(connected_users.get(one, 0), frozenset(near[one]), near[one].total())
        for one in {*connected_users, *near}
    }
    phases_on = frozenset(phase for one in near.values() for phase in one)
    everywhere = Around(sum(connected_users.values()), phases_on, sum(one.total() for one in near.values()))
    own = {
        one.id: one for one in weddings.by_id(db, {alert.wedding_id for alert in alerts if alert.wedding_id})
    }
    weddings_own = {
        id: Around(wedding.guest_count, frozenset({calendar.phase(wedding, phases, now=now)}), 1)
        for id, wedding in own.items()
    }
    by_region = regions | {"": everywhere}
    return {
        alert.id: weddings_own.get(alert.wedding_id) or by_region.get(alert.region, Around())
        for alert in alerts
    }


def _near(db: Connection, phases: calendar.Policy, now: Moment) -> dict[str, Counter[calendar.Phase]]:
    """Return how many weddings are near `now` in each region, by the phase that they are in.

    Those that somebody holds live count as in set-up.
    """
    near: dict[str, Counter[calendar.Phase]] = defaultdict(Counter)
    for region, starts_at, ends_at in regions_of.spans(
        db, now - phases.wind_down_lasts, now + phases.setup_before
    ):
        begun = (phase for begin, phase in calendar.begins(starts_at, ends_at, phases) if now >= begin)
        near[region][next(begun, calendar.Phase.PLANNING)] += 1
    for one in holds.live(db, now, now):
        near[one.region][calendar.Phase.SETUP] += 1
    return near
