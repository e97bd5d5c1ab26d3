"""`wedops weddings mode`."""

from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click
import orjson

from workers.cli.parameters import Duration, Name, Words, operator
from workers.foundation import clock, database
from workers.foundation.errors import printable
from workers.wedding_day.usecases import modes
from workers.wedding_day.usecases.modes import ModeView
from workers.weddings.rules.modes import BY_HAND


@click.command("mode")
@click.argument("wedding_id", type=Words())
@click.option("--begin", type=click.Choice([str(one) for one in BY_HAND]), help="Hold it in this mode.")
@click.option("--for", "lasts", type=Duration(), help="For how long it is held.")
@click.option("--reason", type=Words(), help="Why; it is kept with your name.")
@click.option(
    "--contact", "contacts", type=Name(), multiple=True, help="With an address: a contact of it from now on."
)
@click.option("--end", is_flag=True, help="End what was begun by hand.")
@click.option("--by", type=Name(), default=operator, help="Who says so.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    wedding_id: str,
    begin: str | None,
    lasts: timedelta | None,
    reason: str | None,
    contacts: tuple[str, ...],
    end: bool,
    by: str,
    as_json: bool,
) -> None:
    """Show the mode of a wedding: scheduled, armed, live, winding down, done; begin one by hand, or end it.

    By itself it is armed a day before its start and live two hours before. Live, every job keeps the pace of
    a wedding day, nothing is taken from its region, and the gate is closed.
    """
    now = clock.now()
    if begin and end:
        raise click.UsageError("either --begin or --end")
    if begin:
        if not lasts or not reason:
            raise click.UsageError("--begin needs --for and --reason")
        hours = lasts.total_seconds() / 3600
        fields = {"wedding_id": wedding_id, "mode": begin, "hours": hours, "reason": reason}
        said = modes.read(fields | {"contacts": list(contacts)})
        with database.transaction() as db:
            found = modes.begin(db, said, by=by, now=now)
    elif lasts or reason or contacts:
        raise click.UsageError("--for, --reason and --contact go with --begin")
    elif end:
        with database.transaction() as db:
            found = modes.end(db, wedding_id, now=now)
    else:
        found = modes.show(wedding_id, now=now)
    for line in [orjson.dumps(_plain(found)).decode()] if as_json else map(printable, _lines(found)):
        click.echo(line)


def _plain(found: ModeView) -> dict[str, object]:
    return {
        "schema": "wedops.mode/1",
        "wedding_id": found.wedding.id,
        "mode": found.mode,
        "by_calendar": found.by_calendar,
        "hold": asdict(found.hold) if found.hold else None,
        "since": found.kept.since if found.kept else None,
        "backups": found.kept.backups if found.kept else None,
        "checked_at": found.kept.checked_at if found.kept else None,
    }


def _lines(found: ModeView) -> list[str]:
    zone, kept = ZoneInfo(found.wedding.zone), found.kept
    since = f" since {_local(kept.since, zone)}" if kept and kept.mode is found.mode else ""
    lines = [f"{found.wedding.id} is {found.mode.replace('_', ' ')}{since}"]
    if hold := found.hold:
        calendar = found.by_calendar.replace("_", " ")
        lines.append(f"held {hold.mode} until {_local(hold.until, zone)} by {hold.by}: {hold.reason}")
        lines.append(f"by the calendar it is {calendar}")
    if kept and kept.checked_at:
        seen = [f"{kind} {backed} of {many}" for kind, (many, backed) in (kept.backups or {}).items()]
        checked = _local(kept.checked_at, zone)
        lines.append(f"with a backup that answers ({checked}): {', '.join(seen) or 'nobody is on'}")
    return lines


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %d %b %H:%M}"
