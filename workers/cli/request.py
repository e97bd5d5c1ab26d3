"""`wedops request`."""

from time import sleep

import click

from workers import client
from workers.cli.parameters import operator
from workers.emergencies import usecases as emergencies
from workers.emergencies.rules import EmergencyKind
from workers.foundation import clock, logs

#: Seconds in which an emergency has long begun when all is well.
WAIT = 1.0


@click.group("request")
def command() -> None:
    """Ask for a warm-up or an emergency, as other services do; close one."""
    logs.configure(30)


@command.command("warm-up")
@click.argument("wedding_id")
@click.option("--key", help="The same key does it once.")
def warm_up(wedding_id: str, key: str | None) -> None:
    """Have a wedding's data in the cache before its people come."""
    _print(client.warm_up(wedding_id, request_key=key, caller=operator()))


@command.command("emergency")
@click.argument("kind", type=click.Choice([str(kind) for kind in EmergencyKind]))
@click.argument("wedding_id")
@click.option("--key", help="The same key does it once.")
def emergency(kind: str, wedding_id: str, key: str | None) -> None:
    """Open an emergency of a wedding; one of this kind that is open there is joined."""
    _print(client.open_emergency(kind, wedding_id, request_key=key, caller=operator()))


@command.command("close")
@click.argument("emergency_ids", type=click.IntRange(1, 2**63 - 1), nargs=-1)
@click.option("--wedding", "wedding_id", default="", help="All of this wedding.")
def close(emergency_ids: tuple[int, ...], wedding_id: str) -> None:
    """Close emergencies by their ids, or all of a wedding: `wedops status` shows those that are open."""
    if bool(emergency_ids) == bool(wedding_id):
        raise click.UsageError("name ids, or a wedding with --wedding")
    for emergency_id in emergencies.close(emergency_ids, wedding_id=wedding_id, now=clock.now()):
        click.echo(f"emergency {emergency_id} closed")


def _print(request: client.Request) -> None:
    """Say what became of a request within a moment; it is kept in any case."""
    until = clock.stopwatch() + WAIT
    while request.state == "accepted" and clock.stopwatch() < until:
        sleep(0.05)
        request = client.find(request.key) or request
    click.echo(
        f"{request.effect or request.state}: {request.task} {request.message['wedding_id']}, key "
        f"{request.key}"
    )
    if request.state == "refused":
        click.echo(f"refused: {request.reason}", err=True)
        raise SystemExit(1)
    if request.state == "accepted":
        click.echo(
            "it has a row and will be done; no worker took it yet (`wedops status` says why)", err=True
        )
