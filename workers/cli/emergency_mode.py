"""`wedops emergency-mode`."""

import click

from workers.cli.parameters import operator
from workers.connections.usecases import service
from workers.foundation import clock
from workers.responses import adapters as responses


@click.command("emergency-mode")
@click.argument("mode", type=click.Choice(["on", "off"]))
def command(mode: str) -> None:
    """Have guests give way first.

    They may fill half of a pool, and wait longest for messages. Gateways follow at once.
    """
    responses.leave_to_operators()
    service.set_emergency_mode(mode == "on", by=operator(), now=clock.now())
    click.echo(f"emergency mode is {mode}")
