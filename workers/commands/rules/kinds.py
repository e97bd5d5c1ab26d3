"""What there are kinds of, without the contract that needs pydantic. Pure."""

from enum import StrEnum


class EmergencyKind(StrEnum):
    """The four kinds of emergency."""

    WEATHER = "weather"
    VENUE = "venue"
    VENDOR = "vendor"
    TECHNICAL = "technical"
