"""`wedops weddings timeline`."""

import sys
from pathlib import Path

import click
import orjson

from workers.cli.parameters import Words, operator
from workers.foundation import clock, database
from workers.foundation.errors import printable
from workers.weddings.formats import timeline as formats
from workers.weddings.rules.timeline import TimelineMoment
from workers.weddings.usecases import timelines
from workers.weddings.usecases.timelines import Timeline


@click.command("timeline")
@click.argument("wedding_id", type=Words())
@click.option(
    "--set",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Take the moments of a JSON file (`-`: standard input).",
)
@click.option("--if-version", type=int, help="Change it only while it is of this version.")
@click.option("--versions", is_flag=True, help="Show how it was in each version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    wedding_id: str, file: Path | None, if_version: int | None, versions: bool, as_json: bool
) -> None:
    """Show what is to happen at a wedding, moment by moment; or change it.

    A moment has an id, start and end (15:00), and may have kind, owner (a role, a type of supplier, a
    supplier), after (ids of moments it waits for), place and critical. {"ceremony": "15:00"} is short for a
    list of them.
    """
    if file is not None:
        _change(wedding_id, file, if_version)
    if versions:
        _versions(wedding_id, as_json)
        return
    found = timelines.show(wedding_id)
    if as_json:
        click.echo(orjson.dumps(_plain(found)).decode())
        return
    for line in _lines(found):
        click.echo(printable(line))


def _change(wedding_id: str, file: Path, if_version: int | None) -> None:
    text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    now = clock.now()
    with database.transaction() as db:
        document = formats.parsed(text)
        timelines.change(db, wedding_id, document, by=operator(), expected=if_version, now=now)
    timelines.changed(wedding_id, now=now)


def _plain(found: Timeline) -> dict[str, object]:
    return {
        "schema": "wedops.timeline_of/1",
        "wedding_id": found.wedding.id,
        "version": found.version,
        "zone": found.wedding.zone,
        "moments": formats.document(found.moments),
        "conflicts": found.conflicts,
    }


def _lines(found: Timeline) -> list[str]:
    one = found.wedding
    if not found.moments:
        return [f"{one.id} has no timeline; `wedops weddings timeline {one.id} --set FILE` gives it one"]
    head = f"{one.id}  {one.starts_local:%a %Y-%m-%d %H:%M} {one.zone}  version {found.version}"
    return [head, *map(_line, found.moments), *(f"conflict: {line}" for line in found.conflicts)]


def _line(moment: TimelineMoment) -> str:
    until = f"–{moment.end:%H:%M}" if moment.end > moment.start else ""
    after = f"after {', '.join(moment.after)}" if moment.after else ""
    facts = ("critical" if moment.critical else "", moment.owner, moment.place, after)
    return f"  {f'{moment.start:%H:%M}{until}':<13}{moment.id:<20}  {'  '.join(filter(None, facts))}".rstrip()


def _versions(wedding_id: str, as_json: bool) -> None:
    found = timelines.versions(wedding_id)
    if as_json:
        rows = ((one, formats.document(moments)) for one, moments in found)
        kept = [{**vars(one), "timeline": document} for one, document in rows]
        click.echo(orjson.dumps({"schema": "wedops.timeline_versions/1", "versions": kept}).decode())
        return
    for one, moments in found:
        shown = ", ".join(f"{each.id} {each.start:%H:%M}" for each in moments)
        what = shown or ("not kept then" if one.timeline is None else "no moments")
        click.echo(printable(f"{one.version}  since {one.known_from:%Y-%m-%d %H:%M}Z: {what}"))
