"""Bare Celery, for `celery -A benchmarks.bare`.

Nothing of our app is imported, so that none of it can help or hinder.
"""

import os

import celery
import httpx2
import jwt
from redis import Redis

from workers.foundation import clock

SEEN = "wedops:bench:waits"

#: Celery as its documentation starts it, but for one queue with priorities.
app = celery.Celery("bare", broker=os.environ.get("WEDOPS_BROKER_URL"), set_as_current=False)
app.conf.update(task_default_queue="shared", broker_connection_retry_on_startup=True)
if os.environ.get("BENCH_OUR_DELIVERY"):
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, worker_send_task_events=True)


@app.task(name="bare.probe")
def probe(enqueued_at: float) -> None:
    """Write down how long this message waited, in ms."""
    waited = clock.epoch() - enqueued_at
    with Redis.from_url(os.environ["WEDOPS_BROKER_URL"]) as client:
        client.rpush(SEEN, waited * 1000)


@app.task(name="bare.burn")
def burn(seconds: float) -> None:
    """Burn CPU."""
    until = clock.stopwatch() + seconds
    while clock.stopwatch() < until:
        pass


@app.task(name="bare.nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="bare.effect")
def effect(number: int) -> None:
    """Take 10 ms, and leave an effect."""
    burn(0.01)
    with Redis.from_url(os.environ["WEDOPS_BROKER_URL"]) as client:
        client.sadd("wedops:bench:effects", number)


@app.task(name="bare.broadcast")
def broadcast(apis: list[str], wedding: str, identifier: str, secret: str) -> None:
    """Broadcast something to everybody of a wedding, by the HTTP API of each gateway."""
    now = int(clock.epoch())
    token = jwt.encode({"role": "service_role", "iat": now, "exp": now + 60}, secret, "HS256")
    message = {"topic": f"wedding:{wedding}", "event": "plain", "payload": {"identifier": identifier}}
    for port in apis:
        head = {"Authorization": f"Bearer {token}"}
        httpx2.post(f"http://127.0.0.1:{port}/api/broadcast", json={"messages": [message]}, headers=head)
