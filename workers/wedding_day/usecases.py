"""Looking at a wedding, and doing what the look calls for."""

from workers.commands import usecases as requests
from workers.foundation import logs, settings, telemetry
from workers.foundation.moments import Moment
from workers.wedding_day import rules, store
from workers.weddings import rules as calendar

log = logs.get("wedding_day")


def look_at(weddings: list[calendar.Wedding], *, now: Moment) -> None:
    """Note which phase each wedding is in, and ask for its warm-up when its start is near."""
    policy, phases = settings.read(rules.Policy), settings.read(calendar.Policy)
    seen = store.seen([wedding.id for wedding in weddings])
    for wedding, before in zip(weddings, seen, strict=True):
        decision = rules.decide(wedding, before, policy, phases, now=now)
        if decision.warm_up:
            requests.accept(
                "caching.warm_up",
                {"wedding_id": wedding.id, "request_key": f"wedding_day/{wedding.id}/{decision.now.warm_for}"},
                caller="wedding_day.look",
            )
        if decision.now != before:
            store.remember({wedding.id: decision.now})
            telemetry.decisions.labels("wedding_day", decision.reason).inc()
            log.info("wedding moved on", wedding_id=wedding.id, phase=decision.now.phase, reason=decision.reason)
