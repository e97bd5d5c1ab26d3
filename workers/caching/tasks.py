"""The cache, as Celery runs it."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.caching.formats.commands import WarmUp
from workers.caching.usecases import changing, maintenance, warming
from workers.commands.usecases import commands
from workers.foundation import clock, logs

log = logs.get("caching")


@app.task(name=WarmUp.task, bind=True)
def warm_up(self: Task, **fields: Any) -> None:
    """Have a wedding's data in the cache before its people come."""

    def _warm_up(db: Connection, command: WarmUp, key: str) -> None:
        warming.warm_up(db, command, key, now=clock.now())

    commands.run(WarmUp, fields, _warm_up, task_id=self.request.id)
    app.wake(warm.name)


@app.task(name="caching.warm")
def warm(**_later: object) -> None:
    """Warm up the weddings that wait, as fast as users' traffic leaves room for."""
    if count := warming.run(now=clock.now(), machine=clock.machine_now()):
        log.info("weddings warmed up", reason="people_come", weddings=count)


@app.task(name="caching.forget")
def forget(**_later: object) -> None:
    """Take out what the calendar changed since this was done last, in every process."""
    if count := changing.forget_changed():
        log.info("changes reached the cache", reason="calendar", weddings=count)


@app.task(name="caching.expire")
def expire(**_later: object) -> None:
    """Have every process drop its expired copies, and see what warm-ups were worth."""
    maintenance.expire(now=clock.now(), machine=clock.machine_now())


@app.task(name="caching.inspect")
def inspect(**_later: object) -> None:
    """Look at the cache server's structure, and mend what can't expire or be read."""
    maintenance.inspect(machine=clock.machine_now())


@app.task(name="caching.compare")
def compare(**_later: object) -> None:
    """Compare some entries with their source: how many did no change reach?"""
    maintenance.compare(now=clock.now(), machine=clock.machine_now())
