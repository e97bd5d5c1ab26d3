"""Who has not got a message, or not acknowledged it: by their other channels, then the planner, then us."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from workers.delivery.formats import RecipientUnreachable
from workers.delivery.rules import STEPS, UNACKNOWLEDGED, Policy, Status, Step
from workers.delivery.store import messages, recipients
from workers.delivery.store.recipients import Taken, Waiting
from workers.delivery.usecases import closing, contacts
from workers.delivery.usecases.contacts import Lacking
from workers.foundation import database, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.journal import store as journal
from workers.notify.rules import steps_due

#: Recipients of one transaction.
AT_ONCE = 500


def escalate(*, now: Moment) -> int:
    """Take the steps that are due about recipients; return about how many.

    Close what nobody needs any more. Runs any number of times: each step is taken once.
    """
    total, count = 0, AT_ONCE
    with database.transaction() as db:
        closing.expire(db, now=now)
    while count == AT_ONCE:
        with database.transaction() as db:
            count = _escalate(db, now=now)
        total += count
    return total


def _escalate(db: Connection, *, now: Moment) -> int:
    policy, found = settings.read(Policy), recipients.due(db, limit=AT_ONCE)
    taken = [_taken(one, policy) for one in found]
    both = list(zip(found, taken, strict=True))
    due = [(one, step) for one, own in both for step in STEPS[one.steps : own.steps]]
    recipients.took_steps(db, taken)
    contacts.notify_recipients(db, [one for one, step in due if step is Step.CONTACTS], now=now)
    messages.publish_again(db, [one.message.id for one in found if one.state not in UNACKNOWLEDGED])
    contacts.notify_others(db, _lacking(due), now=now)
    lost = [one for one, own in both if own.unreachable]
    facts = [(one.message.identifier, one.message.wedding_id, one.recipient) for one in lost]
    journal.append(db, [RecipientUnreachable(*one) for one in facts], at=now)
    return len(found)


def _lacking(due: Sequence[tuple[Waiting, Step]]) -> list[Lacking]:
    """Return who is named to others, by message and step."""
    names: dict[tuple[int, Step], list[Waiting]] = defaultdict(list)
    for one, step in due:
        if step is not Step.CONTACTS:
            names[one.message.id, step].append(one)
    return [
        Lacking(own[0].message, step, sorted(one.recipient for one in own))
        for (_, step), own in names.items()
    ]


def _waits(one: Waiting, policy: Policy) -> list[timedelta]:
    slow = one.message.pace * (policy.to_read if one.state in UNACKNOWLEDGED else 1.0)
    first, *rest = policy.waits
    # In an exercise all channels are tried at once: it is to show which of them work.
    tried = timedelta(0) if one.message.status == Status.EXERCISE else first * slow
    return [tried, *(wait * slow for wait in rest)]


def _taken(one: Waiting, policy: Policy) -> Taken:
    """Return how many steps are due; after the last one who has nothing is unreachable."""
    waits = _waits(one, policy)
    count, at = steps_due(waits, one.since, one.now)
    last = count == len(STEPS)
    due_at = None if last else MachineMoment(at + waits[count])
    gone = last and one.state not in UNACKNOWLEDGED
    return Taken(one.message.id, one.recipient, count, due_at, gone)
