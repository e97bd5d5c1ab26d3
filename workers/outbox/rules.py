"""When an entry of the outbox is tried again, and when it is given up. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any
from zlib import crc32

from workers.foundation.moments import MachineMoment

#: The wait doubles up to so many times.
DOUBLINGS = 6
#: The wait is longer or shorter by up to this share, so that what failed together is not tried together
#: again.
JITTER = 0.25


class Lane(IntEnum):
    """Which entries go first."""

    EMERGENCY = 0
    URGENT = 1
    NORMAL = 2


class State(StrEnum):
    """What became of an entry. A dead one is tried no more until somebody replays it."""

    WAITING = "waiting"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"


class Outcome(StrEnum):
    """What became of one attempt."""

    SENT = "sent"
    #: Taken by somebody who may lose it: it is sent again, unless its effect completes it first.
    ENQUEUED = "enqueued"
    FAILED = "failed"
    #: Not tried, for it must not be now; it does not count.
    POSTPONED = "postponed"


@dataclass(frozen=True)
class Result:
    """What became of one attempt; `problem` says why it failed, without secrets and personal data."""

    outcome: Outcome
    problem: str = ""


@dataclass(frozen=True)
class Message:
    """Something to send; the key makes it one, however often it is written.

    `kind` says who sends it, `recipient` what fails together. `body` is JSON of the form that `version`
    numbers. After `lasts` nobody needs it any more.
    """

    key: str
    kind: str
    body: Mapping[str, Any]
    recipient: str = ""
    wedding_id: str = ""
    lane: Lane = Lane.NORMAL
    lasts: timedelta | None = None
    version: int = 1


@dataclass(frozen=True)
class Entry:
    """A message whose turn it is.

    `attempts` counts this one as well; `claims` tells this turn from all others.
    """

    id: int
    key: str
    body: dict[str, Any]
    recipient: str
    attempts: int
    claims: int


@dataclass(frozen=True)
class Status:
    """What became of an entry, and when."""

    state: State
    attempts: int
    settled_at: MachineMoment | None


@dataclass(frozen=True)
class Dead:
    """An entry that is tried no more: what it was, and why its last attempt failed."""

    id: int
    key: str
    kind: str
    wedding_id: str
    problem: str
    settled_at: MachineMoment


@dataclass(frozen=True)
class Retry:
    """How a kind of message is tried again.

    The first wait is `after`, then twice as long, and so on; after `attempts` (None: never) it is given up.
    One attempt must end within `lease`: later somebody else takes the entry.
    """

    after: timedelta
    lease: timedelta
    attempts: int | None = None


def backoff(retry: Retry, attempts: int, key: str) -> timedelta:
    """Return how long to wait after so many attempts.

    Exponential, with jitter that depends on the key and the attempt alone, so that it can be computed again.
    """
    share = crc32(f"{key}/{attempts}".encode()) / 2**32
    jitter = 1 + JITTER * (2 * share - 1)
    return retry.after * (1 << min(max(attempts - 1, 0), DOUBLINGS)) * jitter


def is_given_up(retry: Retry, attempts: int) -> bool:
    """Tell whether an entry that failed so often is tried no more."""
    return retry.attempts is not None and attempts >= retry.attempts
