"""What other services may ask about connections."""

from pydantic import AwareDatetime, Field

from workers.commands.rules.contract import Command, register


@register
class PreparePeak(Command):
    """connections.prepare_peak: make room for a peak of so many connections until a moment."""

    task = "connections.prepare_peak"

    connections: int = Field(ge=1, le=1_000_000_000)
    until: AwareDatetime = Field(description="ISO 8601 with its offset from UTC")
