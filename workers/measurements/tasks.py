"""Measurements, as Celery runs them."""

from workers.app import app
from workers.foundation import clock, database, logs
from workers.measurements.usecases import detection, keeping

log = logs.get("measurements")


@app.task(name="measurements.roll_up")
def roll_up(**_later: object) -> None:
    """Make minutes, hours and days of the points that came."""
    spans = keeping.roll_up(now=clock.machine_now())
    log.info("rolled up", spans=spans, reason="schedule")


@app.task(name="measurements.detect")
def detect(**_later: object) -> None:
    """Compare what came since the last sweep with each series' own past."""
    with database.transaction() as db:
        found = detection.sweep(db, now=clock.machine_now())
    for one in found:
        log.warning(
            "anomaly",
            series=one.series,
            kind=one.kind,
            value=one.value,
            score=round(one.score, 3),
            reason="own_history",
        )


@app.task(name="measurements.retain", maintains=True)
def retain(**_later: object) -> None:
    """Make the partitions of the days to come, sum up the last days, and drop what is past retention."""
    with database.transaction() as db:
        dropped = keeping.retain(db, now=clock.machine_now())
    log.info(
        "retention done", reason="retention", dropped={table: days for table, days in dropped.items() if days}
    )
