"""`wedops responses`: what was done about degradations, and what it did."""

import click
import orjson

from workers.degradation import store
from workers.foundation import database


@click.command("responses")
@click.option("--most", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(most: int, as_json: bool) -> None:
    """List what was done about degradations by itself, with the indicator before and after, the newest first."""
    with database.transaction() as db:
        found = store.history(db, most=most)
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.responses/1", "responses": found}).decode())
        return
    for row in found:
        after = f" → {row['after']:.4g}" if row["after"] is not None else ""
        undone = f", undone {row['undone_at']:%H:%M:%S}Z" if row["undone_at"] else ""
        what = f"alert {row['alert_id']} {row['kind']} {row['region']}: {row['action']} ({row['reason']})"
        click.echo(f"{row['at']:%Y-%m-%d %H:%M:%S}Z  {what}  {row['before']:.4g}{after}  {row['outcome']}{undone}")
    if not found:
        click.echo("nothing was degraded yet")
