"""What the API takes at most, and who may read what it says of the system."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True)
class Policy:
    """A request's head comes within `head_within`, its body of up to `body_max` bytes within `body_within`.

    A caller may make `calls_per_minute`. At most `waiting_max` connections wait for their requests at once.
    With `read_tokens` (`name:secret`, spaces between) /metrics, /v1/desired, /v1/gate and /openapi.json want
    one of them as `Bearer`. The API speaks TLS where `tls_certificate` and `tls_key` name files.
    """

    prefix: ClassVar = "API_"

    head_within: timedelta = timedelta(seconds=10)
    body_within: timedelta = timedelta(seconds=30)
    body_max: int = 16_000_000
    calls_per_minute: int = 1_200
    waiting_max: int = 400
    read_tokens: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        """Refuse what lets nobody in."""
        counts = self.body_max, self.waiting_max, self.calls_per_minute
        if min(counts) < 1 or not self.head_within or not self.body_within:
            raise ValueError(
                "head_within, body_within, body_max, waiting_max and calls_per_minute must be above 0"
            )
        if any(len(token.partition(":")[2]) < 16 for token in self.read_tokens.split()):
            raise ValueError(
                "read_tokens must be name:secret with spaces between them, a secret of 16 characters or more"
            )
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together")
