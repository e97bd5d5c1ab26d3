"""Who has not got a message, or not acknowledged it: by their other channels, then the planner, then us."""

from collections import defaultdict
from datetime import timedelta

from sqlalchemy import Connection

from workers.delivery.formats import Message, RecipientUnreachable
from workers.delivery.rules import STEPS, UNACKNOWLEDGED, Policy, Status, Step
from workers.delivery.store import messages, recipients
from workers.delivery.store.recipients import Waiting
from workers.delivery.usecases import contacts
from workers.foundation import database, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.journal import store as journal
from workers.notify.rules import steps_due

#: Recipients of one transaction.
AT_ONCE = 500


def escalate(*, now: Moment, machine: MachineMoment) -> int:
    """Take the steps that are due about recipients; return about how many.

    Close what nobody needs any more. Runs any number of times: each step is taken once.
    """
    total, count = 0, AT_ONCE
    with database.transaction() as db:
        messages.expire(db, now=now)
    while count == AT_ONCE:
        with database.transaction() as db:
            count = _escalate(db, now=now, machine=machine)
        total += count
    return total


def _escalate(db: Connection, *, now: Moment, machine: MachineMoment) -> int:
    policy, found = settings.read(Policy), recipients.due(db, limit=AT_ONCE)
    names: dict[tuple[int, Step], list[str]] = defaultdict(list)
    about: dict[int, Message] = {}
    for one in found:
        about[one.message.id] = one.message
        count, at = steps_due(_waits(one, policy), one.since, machine)
        for step in STEPS[one.steps : count]:
            if step is Step.CONTACTS:
                contacts.notify_recipient(db, one.message, one.recipient)
            else:
                names[one.message.id, step].append(one.recipient)
        _note(db, one, policy, count, at, now=now)
    messages.publish_again(db, [one.message.id for one in found if one.state not in UNACKNOWLEDGED])
    for (id, step), who in names.items():
        notify = contacts.notify_planner if step is Step.NAMES else contacts.notify_operations
        notify(db, about[id], sorted(who), step)
    return len(found)


def _waits(one: Waiting, policy: Policy) -> list[timedelta]:
    slow = one.message.pace * (policy.to_read if one.state in UNACKNOWLEDGED else 1.0)
    first, *rest = policy.waits
    # In an exercise all channels are tried at once: it is to show which of them work.
    tried = timedelta(0) if one.message.status == Status.EXERCISE else first * slow
    return [tried, *(wait * slow for wait in rest)]


def _note(
    db: Connection, one: Waiting, policy: Policy, count: int, at: MachineMoment, *, now: Moment
) -> None:
    """Remember the steps that were taken; after the last one who has nothing is unreachable."""
    last = count == len(STEPS)
    due_at = None if last else MachineMoment(at + _waits(one, policy)[count])
    gone = last and one.state not in UNACKNOWLEDGED
    recipients.took_steps(db, one, count, due_at, unreachable=gone)
    if gone:
        facts = (one.message.identifier, one.message.wedding_id, one.recipient)
        journal.append(db, [RecipientUnreachable(*facts)], at=now)
