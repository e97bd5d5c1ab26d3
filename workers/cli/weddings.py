"""`wedops weddings`."""

from datetime import timedelta
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table

from workers.caching import store as caching
from workers.foundation import clock, database, logs, settings
from workers.foundation.errors import printable
from workers.measurements.store import events
from workers.weddings import rules, usecases
from workers.weddings.formats import file as files
from workers.weddings.formats.rows import Reading
from workers.weddings.store import weddings as store


@click.group("weddings")
def command() -> None:
    """The calendar: import it, look at it."""
    logs.configure(30)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--strict", is_flag=True, help="Take nothing when a row is refused or anything had to be passed over or decided.")
@click.option("--check", is_flag=True, help="Change nothing; print what would change.")
def import_file(file: Path, strict: bool, check: bool) -> None:
    """Take a calendar in: CSV or iCalendar. Exit code 2 when a row was refused, or --strict refused the file."""
    reading = files.read(file.name, file.read_bytes())
    for line in reading.said + reading.notes + reading.refused:
        click.echo(printable(line), err=True)
    unfit = bool(reading.refused or (strict and reading.notes))
    if strict and unfit:
        click.echo(f"nothing was taken: {len(reading.refused)} refused, {len(reading.notes)} to look at", err=True)
    elif check:
        _preview(reading)
    else:
        change = usecases.take(reading, now=clock.now())
        older = f", older than known {change.outdated}" if change.outdated else ""
        click.echo(
            f"added {change.added}, changed {change.changed}, unchanged {change.unchanged}{older}, refused "
            f"{len(reading.refused)}; calendar version {change.version}"
        )
    if unfit:
        raise SystemExit(2)


def _preview(reading: Reading) -> None:
    found = usecases.preview(reading)
    for one in found.added:
        click.echo(f"would add {one.id}: {one.starts_local:%Y-%m-%d %H:%M} {one.zone}, {one.guest_count} guests, {one.status}")
    for before, after in found.changed:
        click.echo(f"would change {after.id}: {'; '.join(_changes(before, after)) or 'its SEQUENCE alone'}")
    for id in sorted(found.outdated):
        click.echo(f"would leave {id}: its SEQUENCE is lower than the one that was imported before")
    same = len(reading.weddings) - len(found.added) - len(found.changed) - len(found.outdated)
    click.echo(
        f"would add {len(found.added)}, change {len(found.changed)}, leave {same + len(found.outdated)}, refuse "
        f"{len(reading.refused)}; nothing was changed"
    )


def _changes(before: rules.Wedding, after: rules.Wedding) -> list[str]:
    facts = ((name, getattr(before, name), getattr(after, name)) for name in vars(before))
    return [f"{name} {_plain(was)} → {_plain(becomes)}" for name, was, becomes in facts if was != becomes]


def _plain(value: object) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value)


@command.command("next")
@click.option("--hours", default=24, show_default=True, help="How far to look.")
def upcoming(hours: int) -> None:
    """Show the weddings that run or come next, with their phase."""
    now, phases = clock.now(), settings.read(rules.Policy)
    with database.transaction() as db:
        found = store.between(db, now, now + timedelta(hours=hours), most=50)
    table = Table("wedding", "starts (local)", "zone", "phase", "guests", "region", box=None)
    for one in found:
        row = (one.id, f"{one.starts_local:%a %Y-%m-%d %H:%M}", one.zone, rules.phase(one, phases, now=now))
        table.add_row(*row, str(one.guest_count), one.region)
    Console(width=120).print(table if found else "no wedding runs or begins then")


@command.command("show")
@click.argument("wedding_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(wedding_id: str, as_json: bool) -> None:
    """Show a wedding: its facts, how its objectives went, and what was made ready or done for it."""
    now, phases = clock.now(), settings.read(rules.Policy)
    with database.transaction() as db:
        found = store.by_id(db, [wedding_id])
        if not found:
            raise store.WeddingUnknown(wedding_id=wedding_id)
        budgets, done = events.of_wedding(db, wedding_id), caching.of_wedding(db, wedding_id)
    [one] = found
    phase = rules.phase(one, phases, now=now)
    if as_json:
        facts = {"schema": "wedops.wedding/1", "wedding": one, "phase": phase, "objectives": budgets, "results": done}
        # A column that is quoted in SQL has a name that is no plain text to orjson.
        click.echo(orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS).decode())
        return
    click.echo(f"{one.id}  {one.starts_local:%a %Y-%m-%d %H:%M} – {one.ends_local:%H:%M} {one.zone}  {phase}  {one.status}")
    click.echo(f"{one.guest_count} guests, {one.venue_type}, {one.region}, suppliers: {_plain(one.supplier_ids)}")
    for row in budgets:
        left = f"{row['budget_left']:.0%} of its budget left"
        click.echo(f"  {row['objective']:<20}{row['bad']} bad of {row['total']}, {left}")
    for row in done:
        click.echo(f"  {row['at']:%Y-%m-%d %H:%M}Z  {row['kind']}: {row['actions']} entries")
