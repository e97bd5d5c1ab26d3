"""What became of a command, without the contract that needs pydantic. Pure."""

from dataclasses import dataclass
from typing import Any

#: What the outbox calls commands.
KIND = "command"


@dataclass(frozen=True)
class Request:
    """What was asked, and by whom. `state` is accepted, done or refused."""

    key: str
    task: str
    message: dict[str, Any]
    state: str = "accepted"
    reason: str | None = None
    effect: str | None = None
    caller: str = ""
