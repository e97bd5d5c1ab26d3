"""The watch: looks, opens alerts, and notifies people itself while the database is unavailable."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.usecases import escalation, evaluation, surroundings
from workers.foundation import clock, database, event_log, logs, settings
from workers.foundation.moments import Moment
from workers.notify import adapters
from workers.notify import usecases as notify
from workers.notify.rules import BODY, OPERATIONS, safe
from workers.selfwatch.rules import evaluate, starting, uninhibited
from workers.selfwatch.usecases.observing import observe

log = logs.get("selfwatch")

#: In seconds: a look sends no longer; so many looks make sure without a database.
ENOUGH, LOOKS = 4.0, 2
#: In seconds: the slowest pace of jobs that page is a minute.
AFTERMATH = 90.0
#: From look to look, in seconds.
EVERY = 5.0


@dataclass
class Watch:
    """What the watch remembers between looks when there is no database.

    What is critical, since how many looks, and published. Until `settled_at` (of the stopwatch) what has not
    started yet is not missed.
    """

    settled_at: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    published: dict[str, Breach] = field(default_factory=dict)
    #: What was unavailable of late, and until when that inhibits what follows from it: jobs need a run to be
    #: well again.
    inhibiting: dict[Kind, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look at everything once, and publish; what is unavailable is what it is there to find."""
        policy, now = settings.read(Policy), clock.now()
        seen = observe()
        shows = clock.stopwatch()
        self.inhibiting |= dict.fromkeys(seen.unavailable, shows + AFTERMATH)
        found, known = evaluate(seen if shows >= self.settled_at else starting(seen), policy)
        found = uninhibited(found, {kind for kind, until in self.inhibiting.items() if shows < until})
        if Kind.DATABASE in seen.unavailable:
            self._publish_without_database(found)
            return
        try:
            _alert(found, known, policy, now)
        except (database.DatabaseUnavailable, SQLAlchemyError, psycopg.Error) as error:
            log.error("alerts not written", reason=type(error).__name__)
            why = f"the database takes nothing ({type(error).__name__})"
            unavailable = Breach(Kind.DATABASE, Kind.DATABASE, Severity.CRITICAL, 1.0, why)
            self._publish_without_database(uninhibited([*found, unavailable], {Kind.DATABASE}))
        else:
            # What is still active is an alert like any other now, and published as one.
            self._publish_ends(())
            self.seen.clear()

    def _publish_without_database(self, found: list[Breach]) -> None:
        """Tell NOTIFY_TARGETS of what is critical in a second look as well, once while it lasts.

        No row remembers it.
        """
        urgent = {breach.fingerprint: breach for breach in found if breach.severity is Severity.CRITICAL}
        self.seen = Counter({name: self.seen[name] + 1 for name in urgent})
        self._publish_ends(urgent.keys())
        for fingerprint, breach in urgent.items():
            if fingerprint in self.published or self.seen[fingerprint] < LOOKS:
                continue
            title = f"{breach.severity} firing: {breach.kind}"
            if _send(title, f"{breach.detail}. See {surroundings.runbook(breach.kind)}", breach, fingerprint):
                self.published[fingerprint] = breach

    def _publish_ends(self, active: Container[str]) -> None:
        """Publish the end of what was published without the database and is not active any more."""
        for fingerprint in [one for one in self.published if one not in active]:
            breach = self.published.pop(fingerprint)
            _send(
                f"resolved: {breach.kind}", f"{breach.detail}: this has ended", breach, f"{fingerprint}/end"
            )


def _alert(found: list[Breach], known: Container[Kind], policy: Policy, now: Moment) -> None:
    """Open, change and resolve the alerts of what was found, and publish them."""

    def _evaluated(fingerprint: str) -> bool:
        return fingerprint.partition("/")[0] in known

    evaluation.reconcile(found, Evaluator.TASK_SYSTEM, policy, now=now, evaluated=_evaluated)
    with database.transaction() as db:
        escalation.escalate(db, policy, now=now)
    # Beside the task that does: this must not wait in a queue that it is about.
    notify.deliver(ENOUGH)


def _send(title: str, body: str, breach: Breach, key: str) -> bool:
    """Tell every target, and note it: no row has it."""
    text = safe(body, BODY)
    sent = [adapters.send(url, title, text, breach.severity, key=key) for url in adapters.targets().values()]
    if any(sent):
        event_log.note(f"notified {OPERATIONS} without the database: {title}: {text}", by="watch")
    return any(sent)
