"""What was answered to a request under a key. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What was answered to a request, and which request that was."""

    fingerprint: str
    status: int
    headers: dict[str, str]
    body: str
