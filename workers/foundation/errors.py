"""Errors are named for what happened; the docstring is the message, with its remedy."""

from typing import Any

#: What a command exits with where a server can't be reached: `EX_UNAVAILABLE` of sysexits.h.
UNAVAILABLE = 69


class ExpectedError(Exception):
    """{message}"""

    #: What the API answers; by default that it can't now, and to ask again.
    http_status = 503
    #: What a command exits with.
    exit_code = 1
    #: What says of a message that it can't be done as it stands: it is kept as a dead letter.
    keeps_message = False

    def __init__(self, **facts: Any) -> None:
        """Keep the facts that the docstring's placeholders name; they go to the log as fields."""
        self.facts = facts
        super().__init__(" ".join((type(self).__doc__ or "").split()).format(**facts))

    @property
    def reason(self) -> str:
        """Return the error's name as logs, metrics and rows write it.

        `WeddingUnknown` is `wedding_unknown`.
        """
        name = type(self).__name__
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def safe_message(error: Exception) -> str:
    """Return the message of an error of ours, as PostgreSQL can keep it.

    What a library says may hold a token.
    """
    return storable(str(error) if isinstance(error, ExpectedError) else "")[:500]


def storable(text: str) -> str:
    """Return a text as PostgreSQL can keep it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def error_code(error: Exception) -> str:
    """Return what an error is called."""
    return error.reason if isinstance(error, ExpectedError) else type(error).__name__


def printable(text: str) -> str:
    """Return a text as a terminal may get it.

    What it would obey (escape sequences, line ends) is written out.
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
