"""The sweep over all series: what it remembers survives, what it finds is a ticket."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from workers.alerts import tasks
from workers.alerts.rules.kinds import Severity
from workers.alerts.store import alerts
from workers.foundation import clock, database
from workers.measurements.rules.detector import STATE_BYTES as DETECTOR_BYTES
from workers.measurements.rules.samples import Sample
from workers.measurements.rules.steps import ROW, Row, Steps, Tuning
from workers.measurements.rules.steps import STATE_BYTES as STEPS_BYTES
from workers.measurements.store import detection as store
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import detection, intake

pytestmark = pytest.mark.usefixtures("world")

NOW = datetime.fromtimestamp(clock.epoch() // 60 * 60, UTC)


@pytest.fixture(autouse=True)
def _begin_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this file was read is long ago in a long run."""
    monkeypatch.setitem(globals(), "NOW", datetime.fromtimestamp(clock.epoch() // 60 * 60, UTC))


def _measure(value: float, ago: float, **labels: str) -> None:
    sample = Sample("queue_seconds", tuple(labels.items()), NOW.timestamp() - ago, value)
    intake.take([sample], sent_by=intake.Source("test"), now=clock.machine_now())
    intake.write(Writer("test"))


ROWS = {"step": STEPS_BYTES, "surprise": DETECTOR_BYTES}


def _memory(kind: str) -> store.Memory | None:
    return store.recall(kind, row_bytes=ROWS[kind], epoch=NOW.timestamp() + 3600)


def _sweep(seconds: float) -> list[str]:
    with database.transaction() as db:
        return [one.series for one in detection.sweep(db, now=NOW + timedelta(seconds=seconds))]


def test_each_sweep_is_seen_once_and_new_series_find_a_place() -> None:
    _measure(1, 15, region="us-west")
    _sweep(0)
    memory = _memory("step")
    assert memory
    assert (len(memory.ids), memory.swept) == (1, NOW.timestamp() - 10)
    _measure(2, 4, region="us-west")
    _measure(2, 4, region="us-south")
    for _ in range(2):
        _sweep(10)
    memory = _memory("step")
    assert memory
    assert len(memory.ids) == 2
    seen = Row(*memory.rows.view(ROW)["state"].reshape(2, -1).T)
    assert seen.seen.tolist() == [2, 1], "the second sweep was seen once"


def test_a_step_in_a_series_that_is_known_is_a_ticket_and_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    known = Steps(1, Tuning())
    for number, value in enumerate(np.random.default_rng(1).normal(10, 1, 9_000)):
        known.step(NOW.timestamp() - 10 * (9_000 - number), np.array([value]))
    _measure(10, 15, region="us-west")
    store.remember(
        "step", store.Memory(np.array([1]), known.pack(), np.array([NOW.timestamp()]), NOW.timestamp() - 20)
    )
    found: list[str] = []
    for sweep in range(12):
        _measure(18, -10 * sweep - 1, region="us-west")
        found += _sweep(10 * sweep + 20)
    assert found == ['queue_seconds{region="us-west"}']
    tasks.check()
    with database.transaction() as db:
        [alert] = alerts.listed(db)
    assert (alert.kind, alert.severity, alert.region) == ("anomaly", Severity.MEDIUM, "us-west")
    assert "stepped to 18" in alert.detail


def test_a_redis_that_lost_the_memory_begins_anew() -> None:
    _measure(1, 15)
    assert _sweep(0) == []
    assert _memory("surprise") is not None
    store.redis.registry().hset("wedops:detect:surprise", "ids", "abc")
    assert _memory("surprise") is None, "what cannot be read is as good as lost"
    store.redis.registry().flushall()
    assert _memory("step") is None
    assert _sweep(0) == []


def test_a_series_that_is_silent_for_a_week_is_forgotten_and_what_is_of_one_wedding_is_not_learned() -> None:
    _measure(1, 5, region="us-west")
    _measure(1, 5, region="us-west", wedding_id="w-1")
    _sweep(10)
    for kind in ("step", "surprise"):
        memory = _memory(kind)
        assert memory
        assert len(memory.ids) == 1
    for days, left in ((7, 1), (9, 0)):
        _sweep(days * 86_400)
        for kind in ("step", "surprise"):
            memory = store.recall(kind, row_bytes=ROWS[kind], epoch=NOW.timestamp() + 1e6)
            assert memory
            assert len(memory.ids) == left


def test_what_the_version_before_remembered_is_read() -> None:
    _measure(1, 15, region="us-west")
    _sweep(0)
    store.redis.registry().hdel("wedops:detect:step", "heard")
    memory = _memory("step")
    assert memory
    assert memory.heard.tolist() == [memory.swept]
    _measure(1, 5, region="us-south")
    _sweep(10)
    # It learned one more, and knows nothing of when anything was heard of.
    store.redis.undecoded().hset("wedops:detect:step", "heard", np.array([1.0]).tobytes())
    memory = _memory("step")
    assert memory
    assert memory.heard.tolist() == [memory.swept] * 2
