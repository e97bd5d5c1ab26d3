"""`wedops weddings report`."""

from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import click

from workers.cli.parameters import MomentText, Name, Words
from workers.foundation import clock, database
from workers.wedding_day.formats import ReportMoment, What
from workers.wedding_day.usecases import reporting
from workers.weddings.usecases import reading


@click.command("report")
@click.argument("wedding_id", type=Words())
@click.argument("what", type=click.Choice([str(one) for one in What]))
@click.argument("moment", type=Name(), default=None, required=False)
@click.option(
    "--by",
    type=Name(),
    default="operations",
    show_default=True,
    help="Who says so: a supplier, planner, couple.",
)
@click.option(
    "--at", type=MomentText(["%Y-%m-%dT%H:%M"]), help="When, local wall time of the wedding; else now."
)
@click.option("--key", help="The same key is taken once.")
def command(
    wedding_id: str, what: str, moment: str | None, by: str, at: datetime | None, key: str | None
) -> None:
    """Say that a MOMENT of a wedding started or ended, or (without one) that somebody has arrived."""
    wedding, now = reading.find(wedding_id), clock.now()
    when = at.replace(tzinfo=ZoneInfo(wedding.zone)) if at else None
    said = ReportMoment(wedding_id=wedding_id, what=What(what), moment=moment or "", by=by, at=when)
    with database.transaction() as db:
        taken = reporting.report(db, said, reporting.key_of(said, key or uuid4().hex), now=now)
    local = f"{taken.at.astimezone(ZoneInfo(wedding.zone)):%H:%M}"
    said_of = f"{moment or by} {what}"
    click.echo(
        f"{said_of} at {local}" if taken.is_new else f"{said_of}: that key was taken before, nothing changed"
    )
