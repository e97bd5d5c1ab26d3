"""`wedops listen`."""

import asyncio
import os

import click

from workers.connections import adapters
from workers.connections.usecases import service
from workers.foundation import clock, database, heartbeat, logs


@click.command("listen")
@click.option(
    "--url",
    help="The deployment's Realtime, e.g. wss://PROJECT.supabase.co/realtime/v1; that of SUPABASE_URL else.",
)
@click.option(
    "--wedding", "weddings", multiple=True, help="Listen to these; by default to all that are near."
)
def command(url: str | None, weddings: tuple[str, ...]) -> None:
    """Hear who is online at a stock Supabase deployment, whose key is SUPABASE_KEY (or SUPABASE_ANON_KEY)."""
    logs.configure()
    if not (key := os.environ.get("SUPABASE_KEY") or os.environ.get("SUPABASE_ANON_KEY")):
        raise click.UsageError("set SUPABASE_KEY to a key that may join the weddings' channels")
    project = os.environ.get("SUPABASE_URL", "").rstrip("/")
    if not url and not project:
        raise click.UsageError("name the deployment with --url, or set SUPABASE_URL")
    url = url or f"{project.replace('http', 'ws', 1)}/realtime/v1"
    heartbeat.keep()
    with database.transaction() as db:
        ids = weddings or tuple(one.id for one in service.near(db, now=clock.now()))
    asyncio.run(adapters.listen(url, key, ids, service.note_present))
