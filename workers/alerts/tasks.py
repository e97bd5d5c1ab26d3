"""Alerts, as Celery runs them: read, decide, remember, tell."""

from functools import partial

from workers.alerts.rules import lifecycle as rules
from workers.alerts.rules.kinds import Evaluator
from workers.alerts.usecases import escalation, evaluation
from workers.app import app
from workers.foundation import clock, database, settings

#: When this process began, and for how many seconds after that others may only be about to.
BEGUN, SETTLES = clock.stopwatch(), 20.0


@app.task(name="alerts.check")
def check(**_later: object) -> None:
    """Compare what was measured with the thresholds."""
    policy, now = settings.read(rules.Policy), clock.now()
    with database.transaction() as db:
        found, evaluated = evaluation.measured(db, policy, now=now, machine=clock.machine_now())
    known = partial(evaluation.was_measured, evaluated=evaluated)
    if evaluation.reconcile(found, Evaluator.MEASUREMENTS, policy, now=now, evaluated=known):
        app.wake(escalate.name)


@app.task(name="alerts.watch")
def watch(**_later: object) -> None:
    """Check nodes, couples' and planners' connections, capacity, the cache, and that `watch` runs."""
    policy, now = settings.read(rules.Policy), clock.now()
    with database.transaction() as db:
        found = evaluation.capacity(db, now=now) + evaluation.realtime(db, policy)
    found += evaluation.watch(machine=clock.machine_now(), settled=clock.stopwatch() - BEGUN > SETTLES)
    amiss, known = evaluation.cache()
    evaluated = evaluation.always if known else evaluation.but_the_caches
    if evaluation.reconcile(found + amiss, Evaluator.REALTIME, policy, now=now, evaluated=evaluated):
        app.wake(escalate.name)


@app.task(name="alerts.escalate")
def escalate(**_later: object) -> None:
    """Notify whoever is to know of each alert by now, once."""
    policy = settings.read(rules.Policy)
    with database.transaction() as db:
        escalation.escalate(db, policy, now=clock.now())
