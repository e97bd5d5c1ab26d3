"""`wedops weddings next`."""

from datetime import timedelta

import click

from workers.foundation import clock
from workers.weddings.rules import calendar as rules
from workers.weddings.usecases.reading import upcoming

HEAD = ("wedding", "starts (local)", "zone", "phase", "guests", "region")


@click.command("next")
@click.option("--hours", default=24, show_default=True, help="How far to look.")
def command(hours: int) -> None:
    """Show the weddings that run or come next, with their phase."""
    found = upcoming(timedelta(hours=hours), now=clock.now())
    if not found:
        click.echo("no wedding runs or begins then")
        return
    rows = [HEAD, *(_row(*one) for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(one: rules.Wedding, phase: rules.Phase) -> tuple[str, ...]:
    starts = f"{one.starts_local:%a %Y-%m-%d %H:%M}"
    return one.id, starts, one.zone, phase, str(one.guest_count), one.region
