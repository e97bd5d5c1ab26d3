"""Two beats as processes: one is killed, no moment is missed, none is fired twice."""

import os
import signal
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise

import orjson
import pytest

from schedules.table import TABLE
from tests.acceptance.conftest import running
from tests.made import eventually
from workers.foundation import clock, keys, queues, redis
from workers.processes.servers import Server
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay, Reason

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(120)]

BEAT = ("-m", "celery", "-A", "schedules.beat", "beat", "--loglevel", "warning")
QUICK = [line for line in TABLE if line.wedding_day.every == 5]


def _fired() -> Counter[tuple[str, int]]:
    """Return the quick jobs' messages by name and moment in ms: no worker takes them away."""
    waiting = (text for queue in queues.NAMES for text in redis.registry().lrange(queue, 0, -1))
    messages = (orjson.loads(text)["headers"]["job"] for text in waiting)
    quick = {line.name for line in QUICK}
    return Counter((job["name"], round(job["due"] * 1000)) for job in messages if job["name"] in quick)


def test_a_beat_is_killed_and_no_moment_is_missed_or_doubled(world: list[Server]) -> None:
    seasons.publish_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR)
    with ExitStack() as stack:
        first = stack.enter_context(running(*BEAT))
        stack.enter_context(running(*BEAT))
        assert eventually(lambda: redis.registry().zcard(keys.BEATS) == 2, within=60)
        begun = clock.epoch()
        assert not eventually(lambda: clock.epoch() > begun + 12, within=11)
        os.kill(first.pid, signal.SIGKILL)
        assert eventually(lambda: clock.epoch() > begun + 24, within=20)
        ended = clock.epoch()
    fired = _fired()
    assert set(fired.values()) == {1}
    for line in QUICK:
        moments = sorted(
            moment for name, moment in fired if name == line.name and moment < (ended - 1) * 1000
        )
        assert len(moments) >= 4
        assert {later - earlier for earlier, later in pairwise(moments)} == {5000}
