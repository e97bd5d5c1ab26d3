"""Degradation, as Celery runs it."""

from workers.app import app
from workers.foundation import clock, settings
from workers.responses import rules, usecases


@app.task(name="responses.respond")
def respond(**_later: object) -> None:
    """Do what the playbooks say about degradations, measure what it did, and undo it afterwards."""
    policy, now = settings.read(rules.Policy), clock.now()
    if usecases.raise_alerts(usecases.respond(policy, now=now), now=now):
        app.wake("alerts.escalate")
