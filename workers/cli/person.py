"""`wedops person`."""

from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from workers.connections.usecases import users


@click.command("person")
@click.argument("tenant")
@click.argument("user_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(tenant: str, user_id: str, as_json: bool) -> None:
    """Show a person's connections. TENANT is the wedding, or for who works for a supplier the supplier."""
    found = users.connections_of(tenant, user_id)
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.person/1", "connections": found}).decode())
        return
    if not found:
        click.echo(
            f"{user_id} of {tenant} is not connected; who works for a supplier is found by the supplier's id"
        )
        return
    rows = [_row(one) for one in found]
    table = Table(*rows[0], box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=140).print(table)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    level = one["service"] or {}
    return {
        "id": one["id"],
        "type": one["user_type"],
        "node": one["node"],
        "region": one["region"],
        "since": datetime.fromtimestamp(one["opened"], UTC).isoformat(timespec="seconds"),
        "score": round(one["score"]),
        "rtt_ms": round(one["rtt_ms"]),
        "channels": len(one.get("channels") or ()),
        "share": level.get("bandwidth_share", "–"),
        "heartbeat_s": level.get("heartbeat_seconds", "–"),
        "batch_ms": level.get("batch_ms", "–"),
    }
