"""`wedops audit`."""

from datetime import timedelta

import click
import orjson

from workers.access.usecases import audit
from workers.cli.parameters import Duration
from workers.foundation import clock
from workers.foundation.errors import printable


@click.command("audit")
@click.option(
    "--since", "lasts", type=Duration(), default="24h", show_default=True, help="From how long ago on."
)
@click.option("--who", default="", help="Only what this person or service did.")
@click.option("--about", "subject", default="", help="Only what was about this wedding, alert, region …")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="At most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(lasts: timedelta, who: str, subject: str, limit: int, as_json: bool) -> None:
    """Who did what: each command that changed something, and what services had done, by whose key."""
    found = audit.deeds(clock.machine_now() - lasts, who=who, subject=subject, limit=limit)
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.audit/1", "deeds": [vars(one) for one in found]}).decode())
        return
    for one in found:
        about = f" {one.subject}" if one.subject else ""
        line = f"{one.kind} {one.who} ({one.login}, from {one.source}): {one.action}{about}: {one.outcome}"
        click.echo(f"{one.at:%Y-%m-%d %H:%M:%S}Z  {printable(line)}")
    if not found:
        click.echo("nobody changed anything")
