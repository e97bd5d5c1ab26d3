"""What may be sent: short, and without secrets. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

from workers.outbox.rules import Retry

#: Who is notified where nobody else is named, and in the place of those who have no address: NOTIFY_TARGETS.
OPERATIONS = "operations"
#: In the place of each wedding's own people, and of those of them who have no address.
CONTACTS = "contacts"
#: The longest that all channels take: a text message breaks at some 1,000, a chat at some 4,000 characters.
TITLE, BODY = 160, 2_000
_LOGIN = re.compile(r"(?<=://)\S+@")
_HOOK = re.compile(r"(?i)(?<=hooks\.)\S+")
_NAMED = re.compile(
    # From the beginning of a word on: a long text without spaces takes no longer than another.
    r"(?i)(?<!\w)(\w*(?:password|passwd|pwd|token|secret|api_?key|authorization)[\"']?)(\s*[=:]\s*)((?:bearer|basic)\s+\S+|\"[^\"]*\"|'[^']*'|\S+)"
)


#: A moment of the world's or of the machine's time.
At = TypeVar("At", bound=datetime)


@dataclass(frozen=True)
class Notification:
    """Something to send; the key makes it one, however often it is written. `about` is a wedding, if any."""

    key: str
    title: str
    body: str
    severity: str
    about: str = ""


@dataclass(frozen=True, order=True)
class Target:
    """Who is reached, and by which channel: for one wedding, or (empty) for all."""

    recipient: str
    wedding_id: str
    channel: str

    def __str__(self) -> str:
        """Return what the outbox calls it: what fails together."""
        return f"{self.recipient}/{self.wedding_id}/{self.channel}"


@dataclass(frozen=True)
class Policy:
    """`targets` are apprise URLs with spaces between them: log://, json://host/path, mailto:// …

    Each is a channel of its own. A channel has `patience` for one message; after a failure it is tried again
    after `retry_after`, then twice as long, up to 64 times, and no more after `attempts`, some eight hours.
    """

    prefix: ClassVar = "NOTIFY_"

    targets: str = "log://"
    patience: timedelta = timedelta(seconds=8)
    retry_after: timedelta = timedelta(seconds=8)
    attempts: int = 60

    @property
    def retry(self) -> Retry:
        """Return how a notification is tried again."""
        return Retry(self.retry_after, lease=self.patience + timedelta(seconds=5), attempts=self.attempts)

    def __post_init__(self) -> None:
        """Refuse to tell nobody."""
        if not self.targets.strip():
            raise ValueError("name at least one target; log:// writes to the log")
        if not 1 <= self.attempts <= 10_000:
            raise ValueError("attempts must be from 1 to 10,000")
        if not timedelta(milliseconds=100) <= self.patience <= timedelta(seconds=20):
            raise ValueError("patience must be from 100ms to 20s")
        if not timedelta(seconds=1) <= self.retry_after <= timedelta(hours=1):
            raise ValueError("retry_after must be from 1s to 1h")


def steps_due(waits: Sequence[timedelta], since: At, at: At) -> tuple[int, At]:
    """Return how many steps of an escalation are due at a moment, and when the last of them was.

    Each waits for so long after the one before it, the first after `since`. Alerts, urgent messages and
    emergencies all escalate by this.
    """
    last = since
    for number, wait in enumerate(waits):
        if last + wait > at:
            return number, last
        last += wait
    return len(waits), last


def safe(text: str, limit: int) -> str:
    """Return a text without logins and tokens, cut at `limit` characters."""
    clean = _NAMED.sub(r"\1\2…", _HOOK.sub("…", _LOGIN.sub("…@", text)))
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"
