"""The cache, as Celery runs it."""

from typing import Any

from workers.app import Task, app
from workers.caching import store
from workers.caching import usecases as actions
from workers.caching.rules import Kind
from workers.commands import store as requests
from workers.commands import usecases as asked
from workers.commands.rules import messages as contract
from workers.foundation import clock, database, logs
from workers.weddings.store import weddings

log = logs.get("caching")


@app.task(name="caching.warm_up", bind=True)
def warm_up(self: Task, **fields: Any) -> None:
    """Have a wedding's data in the cache before its people come."""
    message = asked.read(contract.WarmUp, "caching.warm_up", fields)
    key = message.request_key or self.request.id
    asked.bind(message, "caching.warm_up", key)
    with asked.settling(key), database.transaction() as db:
        loaded = actions.warm_up(weddings.require(db, message.wedding_id))
        at = clock.now()
        store.record(db, key=f"warm_up/{key}", kind="warm_up", wedding_id=message.wedding_id, detail=loaded, at=at)
        requests.settle(db, key, at=clock.machine_now())


@app.task(name="caching.forget")
def forget(*, wedding_ids: list[str], **_later: object) -> None:
    """Drop what is cached of weddings that changed, in every process."""
    for wedding_id in wedding_ids:
        store.layers().invalidate(Kind.WEDDING, wedding_id)


@app.task(name="caching.expire")
def expire(**_later: object) -> None:
    """Have every process drop its expired local copies."""
    log.info("local copies expired", reason="maintenance", processes=store.expire())


@app.task(name="caching.inspect")
def inspect(**_later: object) -> None:
    """Look at the cache server's structure: sizes, hits, evictions, entries that would never expire."""
    found = store.structure()
    log.info("cache inspected", reason="maintenance", pressure=found.pressure, hit_ratio=found.hit_ratio, **vars(found))
