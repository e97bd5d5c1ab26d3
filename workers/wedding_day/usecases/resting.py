"""Which steps did not help of late, and are not taken again by themselves."""

from statistics import mean

from sqlalchemy import Connection

from workers.caching.store import results
from workers.foundation import settings
from workers.foundation.moments import Moment
from workers.wedding_day.rules import optimising as rules
from workers.wedding_day.rules.optimising import Policy, Step


def rests(db: Connection, step: Step, operation: str, *, now: Moment) -> bool:
    """Tell whether a step did not help an operation, by the mean of what it did of late."""
    policy = settings.read(Policy)
    recent = results.recent(db, step, operation, since=now - policy.rests)
    if not recent:
        return False
    before, after = (mean(values) for values in zip(*recent, strict=True))
    return not rules.helped(before, after, policy)
