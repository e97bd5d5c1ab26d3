"""`wedops request`."""

import click

from workers import client
from workers.cli import emergency
from workers.cli.parameters import Words, operator
from workers.foundation import logs


@click.group("request")
def command() -> None:
    """Ask for a warm-up or an emergency, as other services do; close one."""
    logs.configure(30)


@command.command("warm-up")
@click.argument("wedding_id", type=Words())
@click.option("--key", help="The same key does it once.")
def warm_up(wedding_id: str, key: str | None) -> None:
    """Have a wedding's data in the cache before its people come."""
    emergency.follow(client.warm_up(wedding_id, request_key=key, caller=operator()))


command.add_command(emergency.open_, "emergency")
command.add_command(emergency.close, "close")
