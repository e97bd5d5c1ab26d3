"""`wedops ask`."""

import click

from workers import client
from workers.emergencies import store as emergencies
from workers.foundation import clock, database, logs
from workers.requests.rules import EmergencyKind


@click.group("ask")
def command() -> None:
    """Ask for a warm-up or an emergency, as other services do; close one."""
    logs.configure(30)


@command.command("warm-up")
@click.argument("wedding_id")
@click.option("--key", help="The same key does it once.")
def warm_up(wedding_id: str, key: str | None) -> None:
    """Have a wedding's data in the cache before its people come."""
    _tell(client.warm_up(wedding_id, request_key=key))


@command.command("emergency")
@click.argument("kind", type=click.Choice([str(kind) for kind in EmergencyKind]))
@click.argument("wedding_id")
@click.option("--key", help="The same key does it once.")
def emergency(kind: str, wedding_id: str, key: str | None) -> None:
    """Open an emergency of a wedding."""
    _tell(client.open_emergency(kind, wedding_id, request_key=key))


@command.command("close")
@click.argument("emergency_id", type=click.IntRange(1, 2**63 - 1))
def close(emergency_id: int) -> None:
    """Close an emergency by its id: `wedops status` shows those that are open."""
    with database.transaction() as db:
        closed = emergencies.close(db, emergency_id, at=clock.now())
    if not closed:
        raise click.BadParameter(f"no open emergency has id {emergency_id}", param_hint="EMERGENCY_ID")
    click.echo(f"emergency {emergency_id} closed")


def _tell(request: client.Request) -> None:
    click.echo(f"{request.state}: {request.task} {request.message['wedding_id']}, key {request.key}")
