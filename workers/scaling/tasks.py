"""Scaling, as Celery runs it: read, decide, remember, have it applied."""

from workers.app import app
from workers.foundation import clock, database, settings
from workers.scaling.rules.policy import Policy
from workers.scaling.usecases import applying, deciding, plans

#: Days to look ahead; seconds after which a run applies nothing more, well inside its time limit.
AHEAD, ENOUGH = 90, 10.0


@app.task(name="scaling.decide")
def decide(**_later: object) -> None:
    """Bring every resource to what there should be now."""
    policy, now = settings.read(Policy), clock.now()
    deciding.decide(policy, now=now, machine=clock.machine_now())
    applying.publish(policy, now=now)
    applying.apply(ENOUGH)


@app.task(name="scaling.verify")
def verify(**_later: object) -> None:
    """See whether what was decided is done; have it done again where it is not."""
    applying.publish(settings.read(Policy), now=clock.now())
    applying.apply(ENOUGH)


@app.task(name="scaling.reconcile")
def reconcile(**_later: object) -> None:
    """Set back what somebody else set, or a restart lost."""
    applying.correct_drift(settings.read(Policy), now=clock.now())
    applying.apply(ENOUGH)


@app.task(name="scaling.look_ahead")
def look_ahead(**_later: object) -> None:
    """Find the days to come on which there may not be enough, weeks before they come."""
    with database.transaction() as db:
        plans.look_ahead(db, now=clock.now(), days=AHEAD)
