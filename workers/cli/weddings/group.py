"""`wedops weddings`: the calendar."""

import click

from workers.cli.lazy import LazyGroup
from workers.foundation import logs

HELPS = {
    "import": "Take a calendar in, or say what that would change.",
    "next": "Show the weddings that run or come next, with their phase.",
    "day": "Show how a wedding's day goes: what started, what will start when.",
    "mode": "Show a wedding's mode; hold it armed or live by hand.",
    "optimise": "Optimise for a wedding, and list what that did.",
    "ready": "Say which weddings are ready, and what is red of the others.",
    "report": "Say that a moment started or ended, or that somebody has arrived.",
    "timeline": "Show what is to happen at a wedding, moment by moment; or change it.",
    "weather": "Say what the weather may do to weddings in the open air.",
    "show": "Show a wedding: its facts, how it went, what was made ready for it.",
}
MODULES = {"import": "importing", "next": "upcoming", "show": "showing"}


@click.command("weddings", cls=LazyGroup, package="workers.cli.weddings", helps=HELPS, modules=MODULES)
def command() -> None:
    """The calendar: import it, look at it."""
    logs.configure_when_needed(30)
