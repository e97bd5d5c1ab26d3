"""`wedops responses`: what was done about degradations, and what it did."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from workers.cli import pictures
from workers.foundation import clock, database
from workers.responses import usecases
from workers.responses.rules import Outcome
from workers.snapshots import usecases as snapshots


@click.command("responses")
@click.option("--limit", "--most", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--region", default="", help="For --picture: whose round trips.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw the region's last half hour into a .png or .svg."
)
def command(limit: int, as_json: bool, region: str, picture: Path | None) -> None:
    """List the automatic responses to degradations, the newest first, with the indicator before and after."""
    now = clock.now()
    with database.transaction() as db:
        found = usecases.history(db, limit=limit)
        seen = snapshots.round_trips(db, region, now - timedelta(minutes=30), now) if picture else []
    if picture:
        own = sorted((row for row in found if row["region"] == region), key=lambda row: str(row["at"]))
        pictures.responses(picture, region, ([at for at, _ in seen], [ms for _, ms in seen]), own)
        click.echo(f"{picture}: {len(seen)} measurements, {len(own)} steps")
        return
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.responses/1", "responses": found}).decode())
        return
    for row in found:
        click.echo(_line(row))
    if not found:
        click.echo("nothing was degraded yet")


def _line(row: Mapping[str, Any]) -> str:
    after = f" → {row['after']:.4g}" if row["after"] is not None else ""
    acts = row["outcome"] == Outcome.ACTING
    ended = f"undone {row['undone_at']:%H:%M:%S}Z" if row["undone_at"] else ""
    # What is undone acts no more.
    outcome = ", ".join(filter(None, ["" if ended and acts else str(row["outcome"]), ended]))
    what = f"alert {row['alert_id']} {row['kind']} {row['region']}: {row['action']} ({row['reason']})"
    return f"{row['at']:%Y-%m-%d %H:%M:%S}Z  {what}  {row['before']:.4g}{after}  {outcome}"
