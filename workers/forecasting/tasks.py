"""Forecasting, as Celery runs it."""

from workers.app import app
from workers.forecasting.usecases import forecasts
from workers.foundation import clock, database, logs

log = logs.get("forecasting")


@app.task(name="forecasting.refresh")
def refresh(**_later: object) -> None:
    """Forecast every region's load from the calendar as it is now and from what was seen lately."""
    with database.transaction() as db:
        regions, version = forecasts.refresh(db, now=clock.now())
    log.info("forecast refreshed", reason="calendar_and_history", regions=regions, calendar_version=version)


@app.task(name="forecasting.evaluate")
def evaluate(**_later: object) -> None:
    """See how forecasts did: one that has lost its calibration is trusted less, or not at all."""
    with database.transaction() as db:
        scores = forecasts.evaluate(db, now=clock.now())
    for region, score in scores.items():
        log.info(
            "forecast evaluated",
            region=region,
            reason=score.trust,
            pairs=score.pairs,
            coverage=score.coverage["p90"],
        )


@app.task(name="forecasting.learn")
def learn(**_later: object) -> None:
    """Learn from past weddings which share of their people connects, by phase and venue."""
    with database.transaction() as db:
        regions = forecasts.learn(db, now=clock.now())
    log.info("shares learned", reason="past_weddings", regions=regions)
