"""`wedops emergency-mode`."""

from datetime import UTC, datetime, timedelta
from math import isfinite

import click

from workers.cli.parameters import Duration, Words, operator
from workers.connections.rules.modes import place, scope
from workers.connections.usecases import service
from workers.foundation import clock, database
from workers.foundation.errors import printable
from workers.foundation.moments import MachineMoment
from workers.responses import adapters as responses
from workers.scaling.usecases import scopes
from workers.weddings.usecases import reading as weddings


@click.command("emergency-mode")
@click.argument("mode", type=click.Choice(["on", "off", "show"]))
@click.option("--wedding", "wedding_id", default="", help="The guests of this wedding alone.")
@click.option("--region", default="", help="The guests of this region alone.")
@click.option("--for", "lasts", type=Duration(), default=timedelta(hours=4), help="Then it ends (4h).")
@click.option("--reason", type=Words(), default="ordered by hand", help="Why, for those who come after.")
def command(mode: str, wedding_id: str, region: str, lasts: timedelta, reason: str) -> None:
    """Have guests give way first: of a wedding, of a region, or everywhere.

    They may fill half of a pool, and wait longest for messages. Gateways follow at once.
    """
    if mode == "show":
        _show()
        return
    if wedding_id and region:
        raise click.UsageError("name a wedding or a region, or neither for everywhere")
    if wedding_id:
        weddings.find(wedding_id)
    if region:
        with database.transaction() as db:
            scopes.require(db, region)
    where, now = scope(wedding_id, region), clock.now()
    responses.leave_to_operators(where)
    if mode == "on":
        service.begin_emergency_mode(where, owner=operator(), reason=reason, lasts=lasts, now=now)
    else:
        ended = service.end_emergency_mode(where, by=operator(), now=now)
        mode = "off" if ended else "off, as it was,"
    click.echo(f"emergency mode is {mode}{place(where)}")


def _show() -> None:
    modes = service.emergency_modes()
    for one in modes:
        # What has no end was switched on by the version before.
        until = f" until {_moment(one.until)}" if isfinite(one.until) else ""
        click.echo(printable(f"{one.scope}: by {one.owner}{until}: {one.reason}"))
    if not modes:
        click.echo("guests give way nowhere")


def _moment(epoch: float) -> str:
    machine = MachineMoment(datetime.fromtimestamp(epoch, UTC))
    return f"{clock.of_the_world(machine):%Y-%m-%d %H:%M}Z"
