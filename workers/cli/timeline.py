"""`wedops timeline`."""

import sys
from dataclasses import asdict
from datetime import timedelta

import click
import orjson

from workers.cli.parameters import Duration
from workers.foundation import clock
from workers.foundation.errors import UNAVAILABLE, printable
from workers.operations.timeline import Timeline, timeline


@click.command("timeline")
@click.option(
    "--since", "lasts", type=Duration(), default="2h", show_default=True, help="From how long ago on."
)
@click.option(
    "--wedding", "wedding_id", default="", help="Only what was about this wedding, its region or everybody."
)
@click.option(
    "--limit",
    "--most",
    "limit",
    type=click.IntRange(1, 5000),
    default=200,
    show_default=True,
    help="At most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(lasts: timedelta, wedding_id: str, limit: int, as_json: bool) -> None:
    """List what happened and what was done about it.

    Alerts, steps, scaling, emergencies, messages, restarts, modes.
    """
    seen = timeline(clock.now() - lasts, wedding_id=wedding_id, limit=limit)
    if as_json:
        rows = [asdict(one) for one in seen.happened]
        facts = {"schema": "wedops.timeline/1", "happened": rows, "missing": seen.missing}
        click.echo(orjson.dumps(facts).decode())
    else:
        _show(seen)
    sys.exit(UNAVAILABLE if seen.unreachable else 0)


def _show(seen: Timeline) -> None:
    for one in seen.happened:
        by = f"  ({one.by})" if one.by else ""
        click.echo(f"{one.at:%Y-%m-%d %H:%M:%S}Z  {printable(one.what)}{by}")
    for what in seen.missing:
        click.echo(f"not all: {what}", err=True)
    if not seen.happened and not seen.missing:
        click.echo("nothing happened")
