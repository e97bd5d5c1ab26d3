"""What may be told: short, and without secrets. Pure."""

import re
from dataclasses import dataclass
from datetime import timedelta

#: The longest that all channels take: a text message breaks at some 1,000, a chat at some 4,000 characters.
TITLE, BODY = 160, 2_000
_LOGIN = re.compile(r"(?<=://)[^@/\s]+@")
_NAMED = re.compile(r"(?i)\b(password|token|secret|apikey|authorization)(\s*[=:]\s*)\S+")


@dataclass(frozen=True)
class Notification:
    """Something to tell; the key makes it one, however often it is written."""

    key: str
    title: str
    body: str
    severity: str


@dataclass(frozen=True)
class Policy:
    """`targets` are apprise URLs with spaces between them: log://, json://host/path, mailto://, pagerduty:// …

    Each is a channel of its own. A channel has `patience` for one message; after a failure it is tried again after
    `retry_after`, then twice as long, up to 64 times, and no more after `attempts`, some eight hours.
    """

    targets: str = "log://"
    patience: timedelta = timedelta(seconds=8)
    retry_after: timedelta = timedelta(seconds=8)
    attempts: int = 60

    def __post_init__(self) -> None:
        """Refuse to tell nobody."""
        if not self.targets.strip():
            raise ValueError("name at least one target; log:// writes to the log")
        if self.attempts < 1:
            raise ValueError("attempts must be 1 or more")


def safe(text: str, most: int) -> str:
    """Return a text without logins and tokens, cut at `most` characters."""
    clean = _NAMED.sub(r"\1\2…", _LOGIN.sub("…@", text))
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
