"""How each objective does: what is left of its budget, and how fast it burns."""

from dataclasses import dataclass
from datetime import timedelta

from workers.foundation import database
from workers.foundation.moments import MachineMoment
from workers.measurements.rules.objectives import BY_NAME, MONTH, budget_left
from workers.measurements.store import events


@dataclass(frozen=True)
class Budget:
    """An objective's error budget of 30 days in a region (empty: everywhere).

    `budget_left` is a share of it, below 0 when it is spent; `burn` says by window how many times as fast as
    allowed it goes.
    """

    objective: str
    region: str
    target: float
    events: int
    bad: int
    budget_left: float
    burn: dict[str, float]


def budgets(*, now: MachineMoment) -> list[Budget]:
    """Return the budgets of all objectives about which anything was measured, by objective and region."""
    with database.transaction() as db:
        month = events.month(db, now=now)
        rates = {
            _hours(window.long): {
                (one.objective, one.scope): one.counts for one in events.of_regions(db, window, now=now)
            }
            for window in MONTH
        }
    found = []
    for one in sorted(month, key=lambda one: (one.objective, one.scope)):
        objective, burn = BY_NAME[one.objective], dict[str, float]()
        for window, counts in rates.items():
            known = counts.get((one.objective, one.scope))
            share = known.bad_long / known.total_long if known and known.total_long else 0.0
            burn[window] = share / (1 - objective.target)
        total, bad = one.counts.total_long, one.counts.bad_long
        left = budget_left(objective, total, bad)
        found.append(Budget(one.objective, one.scope, objective.target, total, bad, left, burn))
    return found


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g}h"
