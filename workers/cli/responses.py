"""`wedops responses`: what was done about degradations, and what it did."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from workers.cli import pictures
from workers.cli.parameters import Name, operator
from workers.foundation import clock, database
from workers.responses import usecases
from workers.responses.rules import Outcome, Reason
from workers.snapshots import usecases as snapshots


@click.group("responses", invoke_without_command=True)
@click.option("--limit", "--most", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--region", default="", help="For --picture: whose round trips.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw the region's last half hour into a .png or .svg."
)
@click.pass_context
def command(context: click.Context, limit: int, as_json: bool, region: str, picture: Path | None) -> None:
    """List the automatic responses to degradations, the newest first, with the indicator before and after."""
    if context.invoked_subcommand is None:
        _list(limit, as_json, region, picture)


@command.command("trigger")
@click.argument("alert_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--by", type=Name(), default=operator, help="Who says so.")
def trigger(alert_id: int, by: str) -> None:
    """Take the next step of an alert's ladder now, without waiting for what the last one did."""
    with database.transaction() as db:
        action, done = usecases.trigger(db, alert_id, by=by, now=clock.now())
    click.echo(f"{action}: {done}")


def _list(limit: int, as_json: bool, region: str, picture: Path | None) -> None:
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
    by = "" if row["reason"] != Reason.BY_HAND else f" by {row['by']}"
    what = f"alert {row['alert_id']} {row['kind']} {row['region']}: {row['action']} ({row['reason']}{by})"
    return f"{row['at']:%Y-%m-%d %H:%M:%S}Z  {what}  {row['before']:.4g}{after}  {outcome}"
