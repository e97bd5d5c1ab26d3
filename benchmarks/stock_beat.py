"""Celery's own scheduler with as many jobs at the same pace, for `celery -A benchmarks.stock_beat beat`."""

import os
from typing import Any

import celery
from celery import signals

from workers.foundation import clock

app = celery.Celery("stock", broker=os.environ.get("WEDOPS_BROKER_URL"), set_as_current=False)
app.conf.task_default_queue = "stock"
app.conf.beat_scheduler = "celery.beat:Scheduler"
app.conf.beat_schedule = {name: {"task": name, "schedule": 5.0} for name in ("a.one", "a.two", "a.three")}


@signals.before_task_publish.connect
def _stamp(headers: dict[str, Any], **_later: Any) -> None:
    headers["enqueued_at"] = clock.epoch()
