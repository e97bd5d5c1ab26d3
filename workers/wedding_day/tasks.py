"""Looking at weddings, as Celery runs it: a batch at a time, never a task a wedding."""

from workers.app import app
from workers.foundation import clock, database, logs, settings, telemetry
from workers.requests import actions as requests
from workers.wedding_day import rules, store
from workers.weddings import rules as calendar
from workers.weddings import store as weddings

log = logs.get("wedding_day")


@app.task(name="wedding_day.look")
def look(*, wedding_ids: list[str], **_later: object) -> None:
    """See which phase each wedding is in, and have it warm before its people come."""
    now, policy, phases = (
        clock.now(),
        settings.read(rules.Policy, "WEDDING_DAY_"),
        settings.read(calendar.Policy, "WEDDINGS_"),
    )
    with database.transaction() as db:
        found = weddings.by_id(db, wedding_ids)
    for wedding, seen in zip(found, store.seen([one.id for one in found]), strict=True):
        decision = rules.decide(wedding, seen, policy, phases, now=now)
        if decision.warm_up:
            requests.accept("caching.warm_up", {"wedding_id": wedding.id, "request_key": _key(wedding)})
        if decision.now != seen:
            store.remember({wedding.id: decision.now})
            telemetry.decisions.labels("wedding_day", decision.reason).inc()
            log.info("wedding moved on", wedding_id=wedding.id, phase=decision.now.phase, reason=decision.reason)


def _key(wedding: calendar.Wedding) -> str:
    # A wedding that is moved is warmed up again.
    return f"wedding_day/{wedding.id}/{wedding.starts_at:%Y%m%dT%H%M}"
