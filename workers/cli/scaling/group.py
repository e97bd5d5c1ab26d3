"""`wedops scaling`: what there is of each resource and why; orders of people, all kept."""

import click

from workers.cli.scaling import orders, seen, why


@click.group("scaling")
def command() -> None:
    """See and steer how much there is of each resource."""


for one in (
    seen.show,
    seen.actions,
    seen.audit,
    seen.dry_run,
    seen.regret,
    why.command,
    orders.live,
    orders.shadow,
    orders.suspend,
    orders.resume,
    orders.emergency,
    orders.approve,
    orders.reject,
):
    command.add_command(one)
command.add_command(orders.hold, "hold")
