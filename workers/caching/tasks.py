"""The cache, as Celery runs it."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.caching import usecases
from workers.caching.formats import WarmUp
from workers.commands import usecases as commands
from workers.foundation import clock, logs

log = logs.get("caching")


@app.task(name=WarmUp.task, bind=True)
def warm_up(self: Task, **fields: Any) -> None:
    """Have a wedding's data in the cache before its people come."""

    def _warm_up(db: Connection, command: WarmUp, key: str) -> None:
        usecases.warm_up(db, command, key, now=clock.now())

    commands.run(WarmUp, fields, _warm_up, task_id=self.request.id)


@app.task(name="caching.forget")
def forget(*, wedding_ids: list[str], **_later: object) -> None:
    """Drop what is cached of weddings that changed, in every process."""
    usecases.forget(wedding_ids)


@app.task(name="caching.expire")
def expire(**_later: object) -> None:
    """Have every process drop its expired local copies."""
    log.info("local copies expired", reason="maintenance", processes=usecases.expire())


@app.task(name="caching.inspect")
def inspect(**_later: object) -> None:
    """Look at the cache server's structure: sizes, hits, evictions, entries that would never expire."""
    found = usecases.structure()
    log.info(
        "cache inspected",
        reason="maintenance",
        pressure=found.pressure,
        hit_ratio=found.hit_ratio,
        **vars(found),
    )
