"""What is there when it is hardest: an entry that expires under many readers, PostgreSQL away."""

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from time import sleep

from workers.caching.rules.kinds import Kind, Policy
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import TwoLayers, layers
from workers.caching.usecases import reading
from workers.foundation import clock, database
from workers.foundation.moments import Moment
from workers.processes.servers import Server
from workers.weddings.rules.calendar import VenueType, Wedding
from workers.weddings.store import weddings

READERS, CACHES = 200, 4
#: Longer than 200 threads take to read: an entry that expires again meanwhile is loaded again.
LIVES = timedelta(seconds=3)
WARM = 100


def loads_at_expiry() -> float:
    """Return how often many readers loaded an entry that had just expired."""
    policy = Policy(wedding_ttl=LIVES, jitter=0.0, early=0.0)
    caches, loads = [TwoLayers(policy) for _ in range(CACHES)], list[int]()

    def _load() -> Loaded:
        loads.append(1)
        sleep(0.05)
        return Loaded({"starts_at": "x", "ends_at": "x", "region": "x", "timeline": {}}, 1)

    for cache in caches:
        cache.is_ready()
        cache.get(Kind.WEDDING, ("w-expiry",), _load)
    sleep(1.1 * LIVES.total_seconds())
    loads.clear()
    together = Barrier(READERS)

    def _read(number: int) -> None:
        together.wait()
        caches[number % CACHES].get(Kind.WEDDING, ("w-expiry",), _load)

    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(_read, range(READERS)))
    for cache in caches:
        cache.close()
    return float(len(loads))


def away(postgres: Server, seconds: float) -> dict[str, float]:
    """Stop PostgreSQL for a while; return which share of warm entries was answered, and marked."""
    now = Moment(datetime(2026, 10, 10, 12, tzinfo=UTC))
    calendar = [_wedding(number, now) for number in range(WARM)]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=now)
    layers().is_ready()
    for one in calendar:
        reading.wedding(one.id)
    # Longer than they live: what is answered is older, and says so.
    sleep(2)
    postgres.process.send_signal(signal.SIGKILL)
    postgres.process.wait()
    asked = answered = marked = 0
    until = clock.stopwatch() + seconds
    while clock.stopwatch() < until:
        for one in calendar:
            asked += 1
            try:
                found = reading.wedding(one.id)
            except Exception:  # noqa: S112 - it is what is counted
                continue
            answered, marked = answered + 1, marked + found.stale
        sleep(0.2)
    again = postgres.again()
    postgres.process = again.process
    return {
        "away_s": seconds,
        "away_reads": asked,
        "away_answered": answered / asked,
        "away_marked": marked / asked,
    }


def _wedding(number: int, now: Moment) -> Wedding:
    local = now.replace(tzinfo=None)
    ends = local + timedelta(hours=6)
    at = (now, Moment(now + timedelta(hours=6)))
    return Wedding(f"w-away-{number}", local, ends, "UTC", *at, 100, VenueType.GARDEN, "us-west")
