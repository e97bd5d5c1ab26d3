"""`wedops weddings day`."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import orjson

from workers.cli import pictures
from workers.cli.parameters import Words
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.wedding_day.usecases import showing
from workers.wedding_day.usecases.showing import DayView, Line


@click.command("day")
@click.argument("wedding_id", type=Words())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="Draw how its forecast went on, into a .png or .svg."
)
def command(wedding_id: str, as_json: bool, picture: Path | None) -> None:
    """Show how a wedding's day goes, in its local time.

    Of each moment: planned, started and ended; or when it will start, at even odds and in nine of ten cases.
    """
    found = showing.show(wedding_id, now=clock.now())
    if picture:
        courses = showing.courses(wedding_id)
        pictures.course(picture, wedding_id, ZoneInfo(found.wedding.zone), courses)
        click.echo(f"{picture}: {len(courses)} critical moments", err=as_json)
    if as_json:
        facts = {
            "schema": "wedops.wedding_day/1",
            "wedding_id": found.wedding.id,
            "zone": found.wedding.zone,
            "bottleneck": found.bottleneck,
            "arrived": found.arrived,
            "moments": found.lines,
        }
        click.echo(orjson.dumps(facts).decode())
        return
    if picture:
        return
    for line in _lines(found):
        click.echo(printable(line))


def _lines(found: DayView) -> list[str]:
    one, zone = found.wedding, ZoneInfo(found.wedding.zone)
    lines = [f"{one.id}  {one.starts_local:%a %Y-%m-%d %H:%M} {one.zone}"]
    lines += [_line(each, zone) for each in found.lines] or ["  no timeline"]
    if found.bottleneck:
        lines.append(f"{found.bottleneck} holds up others most")
    if found.arrived:
        lines.append(f"arrived: {', '.join(found.arrived)}")
    return lines


def _line(one: Line, zone: ZoneInfo) -> str:
    facts = [_went(one, zone)]
    if one.late is not None and one.critical:
        facts.append(f"late with {one.late:.0%}")
    if one.is_warned:
        facts.append("warned")
    mark = "*" if one.critical else " "
    return f" {mark}{_clock(one.planned, zone)}  {one.id:<20}  {', '.join(facts)}"


def _went(one: Line, zone: ZoneInfo) -> str:
    if one.started or one.ended:
        times = (_clock(at, zone) if at else "?" for at in (one.started, one.ended))
        return "went {} to {}".format(*times) if one.ended else f"since {_clock(one.started, zone)}"
    if one.p50 is None or one.p90 is None:
        return "not known"
    return f"from {_clock(one.p50, zone)}, by {_clock(one.p90, zone)} at most"


def _clock(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M}" if at else ""
