"""Our app with tasks that measure: what is between enqueue and their first line is all ours."""

import celery

from workers.app import app
from workers.foundation import clock, redis

SEEN = "wedops:bench:waits"


@app.task(name="emergencies.probe", bind=True)
def probe(self: celery.Task) -> None:
    """Write down how long this message waited, in ms."""
    waited = clock.epoch() - self.request.enqueued_at
    redis.registry().rpush(SEEN, waited * 1000)


@app.task(name="caching.burn")
def burn(*, seconds: float) -> None:
    """Burn CPU."""
    until = clock.stopwatch() + seconds
    while clock.stopwatch() < until:
        pass


@app.task(name="connections.nothing")
def nothing() -> None:
    """Do nothing."""


__all__ = ["SEEN", "app", "burn", "nothing", "probe"]
