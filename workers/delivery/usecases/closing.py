"""Messages that hold no longer: nobody gets them any more, by whatever channel."""

from collections.abc import Sequence

from sqlalchemy import Connection

from workers.delivery.store import messages
from workers.delivery.store.messages import Closed
from workers.delivery.usecases import broadcasting, contacts
from workers.foundation.moments import Moment
from workers.outbox import store as outbox

#: Messages of one transaction.
AT_ONCE = 500


def supersede(db: Connection, thread: str, revision: int) -> None:
    """Close what came before in a thread."""
    _withdraw(db, messages.supersede(db, thread, revision))


def end(db: Connection, sender: str) -> None:
    """Close all that a sender sent."""
    _withdraw(db, messages.end(db, sender))


def expire(db: Connection, *, now: Moment) -> None:
    """Close what nobody needs any more."""
    _withdraw(db, messages.expire(db, now=now, limit=AT_ONCE))


def _withdraw(db: Connection, closed: Sequence[Closed]) -> None:
    if closed:
        broadcasts = {broadcasting.key(identifier) for identifier, *_ in closed}
        others = [contacts.key(message, who, one) for message, who, channels in closed for one in channels]
        outbox.withdraw(db, [*broadcasts, *others])
