"""`wedops emergency-mode`."""

import click

from workers.cli.parameters import operator
from workers.connections import actions
from workers.degradation import client as degradation
from workers.foundation import clock


@click.command("emergency-mode")
@click.argument("mode", type=click.Choice(["on", "off"]))
def command(mode: str) -> None:
    """Have guests give way first: they may fill half of a pool, and wait longest for messages. Gateways follow at once."""
    degradation.leave_to_people()
    actions.set_emergency_mode(mode == "on", by=operator(), now=clock.now())
    click.echo(f"emergency mode is {mode}")
