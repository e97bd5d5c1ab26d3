"""`wedops review`: looking back on a day."""

from datetime import datetime
from pathlib import Path

import click
import orjson

from workers.foundation import clock, database
from workers.foundation.errors import printable
from workers.operations import formats, reviews


@click.command("review")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it into a file.")
def command(day: datetime | None, as_json: bool, out: Path | None) -> None:
    """Look back on a local DAY: what happened, who was affected, forecast against actual, cost; as Markdown.

    Each Saturday, holiday and day of many weddings is looked back on two days after; without DAY the last one
    of these is shown.
    """
    with database.transaction() as db:
        wanted = day.date() if day else reviews.newest(db)
        if wanted is None:
            raise click.UsageError("no day was looked back on yet; name one, as 2026-10-10")
        found = reviews.of(db, wanted, now=clock.now())
    text = orjson.dumps(found).decode() if as_json else formats.markdown(found)
    if out:
        out.write_text(text)
        click.echo(str(out), err=as_json)
    else:
        click.echo(text if as_json else "\n".join(printable(line) for line in text.splitlines()))
