"""`wedops connections`."""

from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from workers.foundation import clock
from workers.operations import connections

#: A column's heading, its figure, how it is written.
COLUMNS = (
    ("region", "region", "{}"),
    ("open", "connections", "{:,}"),
    ("opened/s", "opened_per_second", "{:,.1f}"),
    ("reused", "reuse_rate", "{:.0%}"),
    ("connect p95", "connect_p95_ms", "{:,.0f} ms"),
    ("channels each", "channels_each", "{:.1f}"),
    ("updates each/s", "updates_each_per_second", "{:.2f}"),
    ("messages/s", "messages_per_second", "{:,.1f}"),
    ("errors", "error_rate", "{:.1%}"),
    ("delivery p50", "delivery_p50_ms", "{:,.0f} ms"),
    ("delivery p95", "delivery_p95_ms", "{:,.0f} ms"),
    ("batches/s", "batches_per_second", "{:,.1f}"),
    ("failed/s", "failed_batches_per_second", "{:,.2f}"),
)


@click.command("connections")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show each region's connections: how many, how fast they open and deliver, and who sends most."""
    found = connections.overview(now=clock.now(), machine=clock.machine_now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.connections/1"} | vars(found)).decode())
        return
    table = Table(*(heading for heading, *_ in COLUMNS), box=None, padding=(0, 2, 0, 0))
    for region in found.regions:
        table.add_row(*(_cell(getattr(region, name), form) for _, name, form in COLUMNS))
    Console(width=180).print(table)
    for user in found.heaviest:
        total = f"{user.messages:,} messages, {_cell(user.rate, '{:.2f}')} a second"
        click.echo(f"{user.user_id} of {user.tenant}: {total}, {user.bytes:,} bytes")


def _cell(value: Any, form: str) -> str:
    return "–" if value is None else form.format(value)
