"""One scaling decision for 50 regions with a calendar of 100,000 weddings.

It is read from real servers, decided and written.

`decide_ms` is a run in which nothing changes, `changing_ms` one that scales every region, `asking_ms` one
that also asks for approval of more for each, all without carrying it out; `rules_ms` is the pure rule for 50
regions. The outlooks are learned before, as they are in a process that runs.
"""

from datetime import timedelta

import numpy as np
from sqlalchemy import Connection

from benchmarks import form
from workers.foundation import clock
from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Policy
from workers.weddings.rules.calendar import VenueType, Wedding

REGIONS, WEDDINGS = 50, 40
#: Those of a season to come.
FAR = 98_000


def main() -> None:
    """Print the figures."""
    with form.broker(), form.database(SCALING_NEW_REGIONS="live", SCALING_ACTUATORS="instances=gateways"):
        _fill(clock.now())
        form.main("scaling_decision", {"ours": _measure}, lambda _medians: {}, runs=5)


def _fill(now: Moment) -> None:
    from workers.forecasting.store import forecasts as forecasting
    from workers.forecasting.usecases import forecasts
    from workers.foundation import database
    from workers.snapshots import store as snapshots
    from workers.snapshots.rules import Snapshot
    from workers.weddings.store import weddings

    names = [f"region-{number:02}" for number in range(REGIONS)]
    starts = [now + timedelta(hours=hours) for hours in np.linspace(-48, 48, WEDDINGS)]
    calendar = [_wedding(f"{name}-{number}", name, at) for name in names for number, at in enumerate(starts)]
    days = np.linspace(5, 330, FAR).tolist()
    calendar += [
        _wedding(f"far-{number}", names[number % REGIONS], now + timedelta(days=day))
        for number, day in enumerate(days)
    ]
    rows = [
        Snapshot(name, now - timedelta(minutes=minute), 300 + minute % 50)
        for name in names
        for minute in range(2 * 1440, 0, -1)
    ]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=now)
        snapshots.append(db, rows)
    with database.transaction() as db:
        forecasting.record(db, forecasts.forecasts(db, now=now), version=1, at=now)
        _learn(db, now)


def _wedding(id: str, region: str, starts: Moment) -> Wedding:
    local, lasts = starts.replace(tzinfo=None), timedelta(hours=6)
    return Wedding(id, local, local + lasts, "UTC", starts, starts + lasts, 100, VenueType.GARDEN, region)


def _learn(db: Connection, now: Moment) -> None:
    from workers.scaling.rules.policy import Policy
    from workers.scaling.usecases.readings import readings

    while any(reading.unlearned for reading in readings(db, Policy(new_regions="live"), now=now)):
        pass


def _measure() -> form.Figures:
    from workers.foundation import database
    from workers.scaling.rules import decision as rules
    from workers.scaling.usecases import deciding
    from workers.scaling.usecases.readings import readings

    figures, now = {}, clock.now()
    for name, carries in (("decide_ms", 1000), ("changing_ms", 70), ("asking_ms", 40)):
        policy = Policy(new_regions="live", connections_per_instance=carries)
        with database.transaction() as db:
            begun = clock.stopwatch()
            found = readings(db, policy, now=now)
            decided = [(reading, rules.decide(reading, policy, now=now)) for reading in found]
            deciding.record(db, decided, policy, now=now)
            figures[name] = (clock.stopwatch() - begun) * 1000
            db.rollback()
    begun = clock.stopwatch()
    for reading in found:
        rules.decide(reading, policy, now=now)
    return figures | {"rules_ms": (clock.stopwatch() - begun) * 1000, "regions": float(len(found))}


if __name__ == "__main__":
    main()
