"""Who did what. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Who it is that did something."""

    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True)
class Deed:
    """What somebody did.

    `who` did it from `source` (a machine, or `broker`), as `login`; `subject` is the id of what it was about,
    where it is of one thing. `outcome` is `done`, or the name of what was in the way.
    """

    at: datetime
    kind: Kind
    who: str
    source: str
    login: str
    action: str
    subject: str
    outcome: str
