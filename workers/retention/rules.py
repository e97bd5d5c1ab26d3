"""What is over for how long goes. Pure."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Policy:
    """What is over is kept for so many days; what stands, and what people ordered or allowed, for good."""

    prefix: ClassVar = "RETENTION_"

    keep_days: int = 400

    def __post_init__(self) -> None:
        """Refuse to forget what is still looked at: the last five weeks are."""
        if not 35 <= self.keep_days <= 36_500:
            raise ValueError("keep_days must be from 35 to 36500")
