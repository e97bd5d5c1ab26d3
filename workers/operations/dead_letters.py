"""What came in and could not be taken, and what could not be sent: why, and how to send it again."""

import re
from dataclasses import dataclass

from workers.foundation import database, dead_letters
from workers.foundation.moments import MachineMoment
from workers.outbox import usecases as outbox

#: So many are shown.
MAX = 50
#: How an entry of the outbox is named here.
_ENTRY = re.compile(r"outbox-([0-9]{1,18})")


@dataclass(frozen=True)
class Letter:
    """A message that was refused or given up.

    Where, what it is, about which wedding (empty: none is known), and why. One that is not `kept` can't be
    sent again.
    """

    id: str
    at: MachineMoment
    queue: str
    task: str
    wedding_id: str
    reason: str
    kept: bool


def letters() -> tuple[list[Letter], list[str]]:
    """Return the newest, the last one first; and which part could not be asked."""
    refused = dead_letters.newest(MAX)
    found, missing = (
        [Letter(one.id, one.at, one.queue, one.task, "", one.reason, bool(one.message)) for one in refused],
        [],
    )
    try:
        found += [
            Letter(
                f"outbox-{one.id}",
                one.settled_at,
                "outbox",
                f"{one.kind} {one.key}",
                one.wedding_id,
                one.problem,
                True,
            )
            for one in outbox.dead(MAX)
        ]
    except database.DatabaseUnavailable as error:
        missing.append(str(error))
    return sorted(found, key=lambda one: one.at, reverse=True)[:MAX], missing


def replay(letter_id: str) -> str:
    """Send a message again; return why it was not taken, as far as that is known.

    Raises LetterUnknown, LetterNotKept, EntryUnknown.
    """
    if entry := _ENTRY.fullmatch(letter_id):
        outbox.replay(int(entry[1]))
        return ""
    return dead_letters.replay(letter_id).reason
