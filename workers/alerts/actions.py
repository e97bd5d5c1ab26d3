"""What is wrong in the realtime layer now, and with capacity."""

from collections import defaultdict
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from workers.alerts import rules
from workers.balancing import store as balancing
from workers.connections import store as connections
from workers.connections.store import upkeep
from workers.forecasting import actions as forecasting
from workers.forecasting.rules.calibration import Trust
from workers.foundation import settings
from workers.scaling.actions import readings
from workers.scaling.rules import Policy
from workers.scaling.store import capacity as full_days


def realtime() -> list[rules.Breach]:
    """Return a breach for each node that is out, and for each wedding whose couple or planner is badly connected."""
    nodes, out = balancing.nodes(), balancing.out()
    gone = {node.name: node.region for node in nodes if node.name in out}
    low: dict[str, list[float]] = defaultdict(list)
    for ref, score in upkeep.poor().items():
        low[connections.tenant_of(ref)].append(score)
    return rules.nodes_out(gone, (node.region for node in nodes if node.name not in out)) + rules.quality(low)


def capacity(db: Connection, *, now: datetime) -> list[rules.Breach]:
    """Return a breach for each action that failed, each limit that is to be met, each forecast that is not believed."""
    policy = settings.read(Policy, "SCALING_")
    failed = {
        f"{one.region}/{one.resource}": one.problem or "it did not take effect" for one in readings.failed(db, policy, now=now)
    }
    first: dict[str, date] = {}
    worst: dict[str, str] = {}
    highest: dict[str, int] = {}
    for day in full_days.known(db):
        # The evening of a day in the west is the next day's morning here.
        if day.at < now - timedelta(hours=6):
            continue
        what = f"{day.region}/{day.limit}"
        first.setdefault(what, day.day)
        if day.needed > highest.get(what, 0):
            highest[what] = day.needed
            text = f"from {first[what]} on, most on {day.day}: {day.needed} {day.limit} may be needed in {day.region}"
            worst[what] = f"{text}, {day.most} there can be"
    scores = forecasting.judged(db, now=now)
    unfit = {region: one.coverage["p90"] for region, one in scores.items() if one.trust is Trust.REACTIVE}
    ahead = rules.capacity_ahead(first, worst, today=now.date())
    return rules.actions_failed(failed) + ahead + rules.forecasts_unfit(unfit)
