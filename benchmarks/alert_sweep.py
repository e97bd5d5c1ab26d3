"""One sweep of alerts: 10,000 series and 10,000 running weddings, one in a hundred of both in trouble.

`check_ms` is a whole `alerts.check` on real servers: snapshots, the month's budgets of each region, each
wedding's own, what the detectors found, and the changes of all alerts (`first_check_ms` also opens them);
`escalate_ms` decides who is told, with silences and explanations; `detect_ms` is the detectors' sweep over
all series, its memory read from and written to Redis; `peak_mb` is what the process grew by. `storm`: one
wedding in five is in trouble.
"""

import resource
from datetime import timedelta
from itertools import count

import numpy as np

from benchmarks import form
from workers.foundation import clock

SERIES, WEDDINGS, EVENTS = 10_000, 10_000, 6
REGIONS = ("us-west", "us-south", "us-northeast")
_turns = count()


def main() -> None:
    """Print the figures."""
    with (
        form.broker(),
        form.database(ALERTS_PENDING_FOR="0s", ALERTS_RESOLVE_AFTER="0s", ALERTS_GROUP_WAIT="0s"),
    ):
        _calendar()
        form.main(
            "alert_sweep",
            {"ours": lambda: _sweep(100), "storm": lambda: _sweep(5)},
            lambda _medians: {},
            runs=3,
        )


def _calendar() -> None:
    from workers.foundation import database
    from workers.weddings.rules.calendar import VenueType, Wedding
    from workers.weddings.store import weddings

    starts, lasts = clock.now() - timedelta(hours=2), timedelta(hours=8)
    local = starts.replace(tzinfo=None)
    facts = (local, local + lasts, "UTC", starts, starts + lasts, 116, VenueType.GARDEN)
    with database.transaction() as db:
        weddings.upsert(
            db, [Wedding(f"w-{number}", *facts, REGIONS[number % 3]) for number in range(WEDDINGS)], at=starts
        )


def _measure(one_in: int) -> None:
    """Push a minute of samples.

    A gauge of each series, some events of each wedding, one in so many of them bad.
    """
    from workers.measurements.rules.samples import Batch, Row
    from workers.measurements.store import points
    from workers.measurements.store.writer import Writer
    from workers.measurements.usecases import intake

    at, turn = clock.epoch() - 30, next(_turns)
    texts = [f'node_load{{node="n{number}",region="{REGIONS[number % 3]}"}}' for number in range(SERIES)]
    texts += [
        f'guest_list_seconds{{region="{REGIONS[number % 3]}",wedding_id="w-{number}"}}'
        for number in range(WEDDINGS)
    ]
    rows = np.zeros(SERIES + WEDDINGS * EVENTS, Row)
    rows["series"] = np.concatenate(
        [np.arange(SERIES), np.repeat(np.arange(SERIES, SERIES + WEDDINGS), EVENTS)]
    )
    rows["at"] = (
        (at + np.concatenate([np.zeros(SERIES), np.tile(np.arange(EVENTS), WEDDINGS)])) * 1e6
    ).astype("<i8") + turn
    rows["value"] = 0.1
    wrong = (rows["series"] >= SERIES) & (rows["series"] % one_in == 0)
    rows["value"][wrong] = 3.0
    points.buffer(Batch(texts, rows), limit=10**9)
    writer, taken = Writer("bench"), 0
    while taken < len(rows):
        writer, more = intake.write(writer)
        taken += max(0, more)


def _sweep(one_in: int) -> form.Figures:
    from sqlalchemy import func, select

    from workers.alerts import tasks
    from workers.alerts.store import alerts as store
    from workers.foundation import database
    from workers.measurements.usecases import detection

    with database.transaction() as db:
        db.exec_driver_sql(
            "TRUNCATE performance_alerts, slo_events, wedding_slo_events, outbox RESTART IDENTITY CASCADE"
        )
    _measure(one_in)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"first_check_ms": _timed(tasks.check.run), "check_ms": _timed(tasks.check.run)}
    figures |= {"escalate_ms": _timed(tasks.escalate.run)}
    with database.transaction() as db:
        begun = clock.stopwatch()
        detection.sweep(db, now=clock.machine_now())
        figures["detect_ms"] = (clock.stopwatch() - begun) * 1000
        figures["alerts"] = float(db.execute(select(func.count()).select_from(store.alerts)).scalar_one())
    return figures | {"peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def _timed(run: object) -> float:
    begun = clock.stopwatch()
    run()  # type: ignore[operator]
    return (clock.stopwatch() - begun) * 1000


if __name__ == "__main__":
    main()
