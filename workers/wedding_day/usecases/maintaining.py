"""When no wedding is near, so that what is old may be dropped."""

from datetime import timedelta

from workers.foundation import clock, maintenance
from workers.foundation.moments import MachineMoment, Moment
from workers.weddings.rules.gate import Change
from workers.weddings.usecases import gate

#: Maintenance takes less than this; what is published holds no longer than that.
TAKES, HOLDS = timedelta(minutes=30), timedelta(hours=1)


def publish_window(*, now: Moment, machine: MachineMoment) -> None:
    """Publish until when no wedding of any region is near, as the gate for settings has it."""
    found = gate.verdict(Change.SETTINGS, now=now, lasts=TAKES)
    if not found.is_open:
        maintenance.publish(None)
        return
    lasts = min(HOLDS, clock.of_the_machine(found.until - now)) if found.until else HOLDS
    maintenance.publish((machine + lasts).timestamp())
