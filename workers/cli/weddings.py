"""`wedops weddings`."""

from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from workers.foundation import clock, database, logs, settings
from workers.weddings import actions, client, rules, store


@click.group("weddings")
def command() -> None:
    """The calendar: import it, look at it."""
    logs.configure(30)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--strict", is_flag=True, help="Take nothing when one row is refused.")
def import_file(file: Path, strict: bool) -> None:
    """Take a calendar in: CSV, or iCalendar when FILE ends in .ics. Exit code 2 when a row was refused."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise client.CalendarUnreadable(cause=f"{file.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    reading = client.read_icalendar(text) if file.suffix.lower() == ".ics" else client.read_csv(text)
    for line in reading.notes + reading.refused:
        click.echo(line, err=True)
    if not (strict and reading.refused):
        change = actions.take(reading)
        click.echo(
            f"added {change.added}, changed {change.changed}, unchanged {change.unchanged}, refused "
            f"{len(reading.refused)}; calendar version {change.version}"
        )
    if reading.refused:
        raise SystemExit(2)


@command.command("next")
@click.option("--hours", default=24, show_default=True, help="How far to look.")
def upcoming(hours: int) -> None:
    """Show the weddings that run or come next, with their phase."""
    now, phases = clock.now(), settings.read(rules.Policy, "WEDDINGS_")
    with database.transaction() as db:
        found = store.between(db, now, now + timedelta(hours=hours), most=50)
    table = Table("wedding", "starts (local)", "zone", "phase", "guests", "region", box=None)
    for one in found:
        row = (one.id, f"{one.starts_local:%a %Y-%m-%d %H:%M}", one.zone, rules.phase(one, phases, now=now))
        table.add_row(*row, str(one.guest_count), one.region)
    Console(width=120).print(table if found else "no wedding runs or begins then")
