"""Scaling, as Celery runs it: read, decide, remember, tell."""

from workers.app import app
from workers.foundation import clock, database, settings
from workers.scaling import actions, rules


@app.task(name="scaling.decide")
def decide(**_later: object) -> None:
    """Bring every region to the capacity it should have now."""
    now, policy = clock.now(), settings.read(rules.Policy, "SCALING_")
    with database.transaction() as db:
        for reading in actions.readings(db, policy, now=now):
            actions.record(db, reading, rules.decide(reading, policy, now=now), now=now)
    actions.see_to_it(policy)


@app.task(name="scaling.verify")
def verify(**_later: object) -> None:
    """See whether the gateways do what they were told; tell those again that do not."""
    actions.see_to_it(settings.read(rules.Policy, "SCALING_"))
