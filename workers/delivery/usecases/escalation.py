"""Who has not got a message, or not acknowledged it: by their other channels, then the planner, then us."""

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import Connection

from workers.delivery.formats import RecipientUnreachable
from workers.delivery.rules import STEPS, UNACKNOWLEDGED, Policy, Status, Step
from workers.delivery.store import messages, recipients
from workers.delivery.store.recipients import Taken, Waiting
from workers.delivery.usecases import contacts
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
        messages.expire(db, now=now)
    while count == AT_ONCE:
        with database.transaction() as db:
            count = _escalate(db, now=now)
        total += count
    return total


def _escalate(db: Connection, *, now: Moment) -> int:
    policy, found = settings.read(Policy), recipients.due(db, limit=AT_ONCE)
    names: dict[tuple[int, Step], list[str]] = defaultdict(list)
    by_contacts, taken = list[Waiting](), list[Taken]()
    for one in found:
        count, at = steps_due(_waits(one, policy), one.since, one.now)
        taken.append(_taken(one, policy, count, at))
        for step in STEPS[one.steps : count]:
            if step is Step.CONTACTS:
                by_contacts.append(one)
            else:
                names[one.message.id, step].append(one.recipient)
    recipients.took_steps(db, taken)
    contacts.notify_recipients(db, by_contacts, now=now)
    messages.publish_again(db, [one.message.id for one in found if one.state not in UNACKNOWLEDGED])
    about = {one.message.id: one.message for one in found}
    contacts.notify_others(
        db, [Lacking(about[id], step, sorted(who)) for (id, step), who in names.items()], now=now
    )
    lost = [(about[one.message_id], one.recipient) for one in taken if one.unreachable]
    events = [RecipientUnreachable(one.identifier, one.wedding_id, who) for one, who in lost]
    journal.append(db, events, at=now)
    return len(found)


def _waits(one: Waiting, policy: Policy) -> list[timedelta]:
    slow = one.message.pace * (policy.to_read if one.state in UNACKNOWLEDGED else 1.0)
    first, *rest = policy.waits
    # In an exercise all channels are tried at once: it is to show which of them work.
    tried = timedelta(0) if one.message.status == Status.EXERCISE else first * slow
    return [tried, *(wait * slow for wait in rest)]


def _taken(one: Waiting, policy: Policy, count: int, at: MachineMoment) -> Taken:
    """Return what is to be remembered; after the last step who has nothing is unreachable."""
    last = count == len(STEPS)
    due_at = None if last else MachineMoment(at + _waits(one, policy)[count])
    gone = last and one.state not in UNACKNOWLEDGED
    return Taken(one.message.id, one.recipient, count, due_at, gone)
