"""`wedops listen`."""

import asyncio
import os

import click

from workers.connections import actions, client
from workers.connections.store import service
from workers.foundation import clock, heartbeat, logs


@click.command("listen")
@click.option("--url", required=True, help="The deployment's Realtime, e.g. wss://PROJECT.supabase.co/realtime/v1.")
@click.option("--wedding", "weddings", multiple=True, help="Listen to these; by default to all that are near.")
def command(url: str, weddings: tuple[str, ...]) -> None:
    """Hear who is online at a stock Supabase deployment, whose key is SUPABASE_KEY; `wedops presence` shows them."""
    logs.configure()
    if not (key := os.environ.get("SUPABASE_KEY")):
        raise click.UsageError("set SUPABASE_KEY to a key that may join the weddings' channels")
    heartbeat.keep()
    ids = weddings or tuple(actions.phases(clock.now()))
    asyncio.run(client.listen(url, key, ids, service.tell_present))
