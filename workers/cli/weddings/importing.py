"""`wedops weddings import`."""

from pathlib import Path

import click

from workers.foundation import clock
from workers.foundation.errors import printable
from workers.weddings.formats import file as files
from workers.weddings.formats.rows import Reading
from workers.weddings.rules import calendar as rules
from workers.weddings.usecases import importing as usecases


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--strict",
    is_flag=True,
    help="Take nothing when a row is refused or anything had to be passed over or decided.",
)
@click.option("--check", is_flag=True, help="Change nothing; print what would change.")
def command(file: Path, strict: bool, check: bool) -> None:
    """Take a calendar in: CSV or iCalendar.

    Exit code 2 when a row was refused, or --strict refused the file.
    """
    reading = files.read(file.name, file.read_bytes())
    for line in reading.remarks + reading.notes + reading.refused:
        click.echo(printable(line), err=True)
    unfit = bool(reading.refused or (strict and reading.notes))
    if strict and unfit:
        click.echo(
            f"nothing was taken: {len(reading.refused)} refused, {len(reading.notes)} to look at", err=True
        )
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
        click.echo(
            f"would add {one.id}: {one.starts_local:%Y-%m-%d %H:%M} {one.zone}, {one.guest_count} guests, "
            f"{one.status}"
        )
    for before, after in found.changed:
        click.echo(f"would change {after.id}: {'; '.join(_changes(before, after)) or 'its SEQUENCE alone'}")
    for id in sorted(found.outdated):
        click.echo(f"would leave {id}: its SEQUENCE is lower than the one that was imported before")
    same = len(reading.weddings) - len(found.added) - len(found.changed) - len(found.outdated)
    click.echo(
        f"would add {len(found.added)}, change {len(found.changed)}, leave {same + len(found.outdated)}, "
        "refuse "
        f"{len(reading.refused)}; nothing was changed"
    )


def _changes(before: rules.Wedding, after: rules.Wedding) -> list[str]:
    facts = ((name, getattr(before, name), getattr(after, name)) for name in vars(before))
    return [f"{name} {plain(was)} → {plain(becomes)}" for name, was, becomes in facts if was != becomes]


def plain(value: object) -> str:
    """Return a fact of a wedding as a person reads it."""
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value)
