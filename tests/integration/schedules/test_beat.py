"""Beat: each moment is fired once, however many beats there are; paces change live."""

from collections import Counter
from datetime import timedelta

import orjson
import pytest

from schedules import beat
from schedules.beat import TableScheduler
from schedules.table import TABLE
from workers.app import app
from workers.connections.usecases import upkeep
from workers.foundation import clock, jobs, queues, redis
from workers.foundation import keys as foundation_keys
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay, Reason

pytestmark = pytest.mark.usefixtures("world")


def _sent() -> Counter[str]:
    messages = [message for queue in queues.NAMES for message in redis.registry().lrange(queue, 0, -1)]
    return Counter(orjson.loads(message)["headers"]["task"] for message in messages)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let a test set what beats read from the clock.

    Some hours ago, for Redis claims no moment that is yet to come.
    """
    moment = [clock.epoch() - 7200]
    monkeypatch.setattr(beat.clock, "epoch", lambda: moment[0])
    return moment


def test_at_its_first_tick_everything_that_is_due_fires_once_though_there_are_two_beats(
    at: list[float],
) -> None:
    for scheduler in (TableScheduler(app), TableScheduler(app)):
        scheduler.tick()
        scheduler.tick()
    sent = _sent()
    assert set(sent) >= {line.name for line in TABLE if line.ordinary.every < 3600}
    assert set(sent.values()) == {1}


def test_two_beats_fire_every_moment_between_them_once(at: list[float]) -> None:
    one, other = TableScheduler(app), TableScheduler(app)
    start = at[0]
    one.tick()
    for tenth in range(1, 1200):
        at[0] = start + tenth / 10
        (one, other)[tenth % 2].tick()
    assert _sent()["connections.sweep"] in {4, 5}
    assert _sent()["caching.expire"] in {1, 2}


@pytest.mark.parametrize("step", [-7200, -600, 3600])
def test_a_clock_that_is_put_right_keeps_no_job_from_firing(at: list[float], step: float) -> None:
    scheduler = TableScheduler(app)
    scheduler.tick()
    at[0] += step
    if step < 0:
        # The server's clock ran ahead as well, and was put right: what it was told then lies in its future.
        for line in TABLE:
            redis.registry().hset(
                foundation_keys.job(line.name), "due", int((clock.machine_now().timestamp() + 7200) * 1000)
            )
    redis.registry().delete(*queues.NAMES)
    for _ in range(60):
        at[0] += 1
        scheduler.tick()
    assert _sent()["connections.sweep"] in {2, 3}
    assert jobs.beats(at[0]) == [scheduler._name]


def test_a_beat_that_fires_nothing_shows_no_sign_of_life(
    at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[int] = []
    monkeypatch.setattr(beat.heartbeat, "touch", lambda: touched.append(1))
    scheduler = TableScheduler(app)
    monkeypatch.setattr(beat, "TABLE", ())
    monkeypatch.setattr(scheduler, "_wait", lambda: 1.0)
    scheduler.tick()
    assert touched
    touched.clear()
    scheduler._fired -= beat.IDLE_MAX
    scheduler.tick()
    assert not touched


def test_a_beat_that_died_is_replaced_within_the_same_moment(at: list[float]) -> None:
    one, other = TableScheduler(app), TableScheduler(app)
    one.tick()
    redis.registry().delete(*queues.NAMES)
    at[0] += 30
    other.tick()
    assert _sent()["connections.sweep"] == 1


def test_the_pace_follows_the_kind_of_day(at: list[float]) -> None:
    scheduler = TableScheduler(app)
    scheduler.tick()
    seasons.publish_day(KindOfDay.WEDDING_DAY, Reason.WEDDING_NEAR)
    redis.registry().delete(*queues.NAMES)
    for _ in range(60):
        at[0] += 1
        scheduler.tick()
    assert _sent()["connections.sweep"] in {6, 7}


def test_a_moment_long_gone_is_not_made_up_for(at: list[float]) -> None:
    [daily] = [line for line in TABLE if line.name == "forecasting.learn"]
    due = daily.ordinary.due(daily.name, at[0] - 3 * 86_400)
    assert due
    at[0] = due + 3601
    TableScheduler(app).tick()
    assert _sent()["forecasting.learn"] == 0
    at[0] = due + 86_400 + 3599
    TableScheduler(app).tick()
    assert _sent()["forecasting.learn"] == 1


def test_a_message_expires_and_says_which_job_it_is(at: list[float]) -> None:
    TableScheduler(app).tick()
    message = next(
        orjson.loads(text)
        for text in redis.registry().lrange("safety", 0, -1)
        if b"connections.sweep" in text.encode()
    )
    [line] = [line for line in TABLE if line.name == "connections.sweep"]
    assert message["headers"]["job"] == {"name": line.name, "due": line.ordinary.due(line.name, at[0])}
    assert message["headers"]["expires"]
    assert message["headers"]["enqueued_at"] > 0


def test_a_redis_that_is_away_costs_a_tick_and_not_the_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = TableScheduler(app)

    def _unavailable() -> None:
        raise redis.UNREACHABLE[0]("gone")

    with monkeypatch.context() as away:
        away.setattr(beat.redis, "registry", _unavailable)
        assert scheduler.tick() == beat.TICK
    redis.registry().function_flush()
    assert scheduler.tick() == beat.TICK
    # Workers load them: who loads functions decides what all others run.
    assert _sent() == {"connections.restore": 1}
    upkeep.restore()
    assert 0 <= scheduler.tick() <= beat.TICK
    assert _sent()["connections.sweep"] == 1


def test_a_moment_whose_message_could_not_be_sent_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = TableScheduler(app)

    def _fail(*_arguments: object, **_options: object) -> None:
        raise beat.SchedulingError("broker full")

    with monkeypatch.context() as full:
        full.setattr(scheduler, "apply_async", _fail)
        scheduler.tick()
    assert _sent() == {}
    scheduler.tick()
    assert _sent()["connections.sweep"] == 1


def test_a_beat_whose_clock_runs_ahead_keeps_nobody_from_firing(at: list[float]) -> None:
    wrong, right = TableScheduler(app), TableScheduler(app)
    now = at[0]
    at[0] = now + 7200 + 3600
    wrong.tick()
    assert _sent() == {}
    redis.registry().hset(foundation_keys.job("connections.sweep"), "due", int((now + 9e5) * 1000))
    at[0] = now
    right.tick()
    assert _sent()["connections.sweep"] == 1


def test_a_run_waited_since_it_was_fired_not_since_its_moment_on_the_grid() -> None:
    """That may lie up to an hour before: before there was a beat nobody waited."""
    due = clock.epoch() - 3_500
    assert jobs.claim("a.job", due=due, pace=3_600.0, beat="a-beat")
    jobs.begin("a.job", token="t", ttl=timedelta(seconds=5), due=due)
    [record] = jobs.records()
    assert record.waited < 5
    jobs.finish("a.job", "ok", token="t")
    redis.registry().hset(foundation_keys.job("a.job"), "fired", int((clock.epoch() - 40) * 1000))
    jobs.begin("a.job", token="t", ttl=timedelta(seconds=5), due=due)
    [record] = jobs.records()
    assert 40 <= record.waited < 45


def test_what_is_no_job_any_more_is_not_missed() -> None:
    """A version before this one had jobs of other names: nobody must be woken for those."""
    jobs.expect({"metrics.retain": 60.0, "watch": 5.0})
    redis.registry().hset(foundation_keys.job("metrics.retain"), "unanswered", 9)
    redis.registry().sadd(foundation_keys.JOBS, "wedding_day.look#1")
    TableScheduler(app=app).tick()
    names = {record.name for record in jobs.records()}
    assert not {"metrics.retain", "wedding_day.look#1"} & names
    assert {"watch", "wedding_day.look", "measurements.retain"} <= names
    assert not redis.registry().exists(foundation_keys.job("metrics.retain"))
