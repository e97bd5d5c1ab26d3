"""A wedding: its facts, how its objectives and its day went, and what was made ready or done for it."""

from dataclasses import dataclass
from typing import Any

from workers.caching.store import results as caching
from workers.delivery.formats import cap
from workers.delivery.store import recipients, summaries
from workers.emergencies.store import emergencies
from workers.foundation import database, settings
from workers.foundation.moments import Moment
from workers.measurements.store import events
from workers.wedding_day.rules.optimising import Step
from workers.wedding_day.store import metrics
from workers.weddings.rules import calendar as rules
from workers.weddings.store import weddings

#: So many of its emergencies and messages are shown.
NEWEST = 10
#: So many rows of how its day went on: some five hours, where little happens.
COURSE = 30


@dataclass(frozen=True)
class View:
    """A wedding as people see it."""

    wedding: rules.Wedding
    phase: rules.Phase
    objectives: list[dict[str, Any]]
    results: list[dict[str, Any]]
    emergencies: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    #: How its day went on, the newest first.
    course: list[dict[str, Any]]


def view(wedding_id: str, *, now: Moment) -> View:
    """Return all that is known of a wedding. Raises WeddingUnknown."""
    phases = settings.read(rules.Policy)
    with database.transaction() as db:
        one = weddings.require(db, wedding_id)
        budgets, done = events.of_wedding(db, wedding_id), caching.of_wedding(db, wedding_id)
        # That the database was looked at for it says nothing of the wedding.
        done = [row for row in done if row["kind"] != Step.LOOK]
        open_ = [vars(emergency) for emergency in emergencies.recent(db, wedding_id, limit=NEWEST)]
        sent = summaries.of_wedding(db, wedding_id, limit=NEWEST)
        counts = recipients.counts(db, [message.id for message in sent])
        course = metrics.of_wedding(db, wedding_id, limit=COURSE)
    said = [cap(message) | {"states": counts[message.id]} for message in sent]
    return View(one, rules.phase(one, phases, now=now), budgets, done, open_, said, course)
