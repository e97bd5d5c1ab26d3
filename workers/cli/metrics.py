"""`wedops metrics`: what is measured, and whether there is room for it."""

from typing import Any

import click
import orjson

from workers.foundation import clock
from workers.measurements.usecases import series as measured


@click.group("metrics")
def command() -> None:
    """See what services measure."""


@command.command("series")
@click.argument("name", default="")
def series(name: str) -> None:
    """List the series of a name, or all (1,000 at most)."""
    for text in measured.known(name):
        click.echo(text)


@command.command("show")
@click.argument("series")
@click.option("--hours", type=click.IntRange(1, 10_000), default=3, show_default=True)
@click.option("--by", "level", type=click.Choice(measured.LEVELS), default="minute", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(series: str, hours: int, level: str, as_json: bool) -> None:
    """Show a series, or all of a name, by minute, hour or day.

    How many, least, median, 95th and 99th percentile, most.
    """
    found = measured.history(series, level, hours=hours, now=clock.machine_now())
    rows = {text: [_row(one) for one in summaries] for text, summaries in found.items()}
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.series/2", "series": rows}).decode())
        return
    if not rows:
        raise measured.nothing(series, hours=hours)
    for text, lines in rows.items():
        click.echo("\n".join([text, *map(_line, lines)]))


def _line(row: dict[str, Any]) -> str:
    return "  " + "  ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{value}" for key, value in row.items()
    )


def _row(one: Any) -> dict[str, object]:
    facts: dict[str, object] = {"at": one.at, "count": one.count, "min": one.min, "max": one.max}
    return facts | {f"p{percent}": one.quantile(percent / 100) for percent in (50, 95, 99)}


@command.command("partitions")
def partitions() -> None:
    """Say which days points can be written to, and which tables lack today's or tomorrow's."""
    room = measured.room(now=clock.machine_now())
    none = "no day at all; run `wedops run measurements.retain`"
    click.echo(f"points: {room.first} to {room.last}" if room.first else f"points: {none}")
    for table in room.missing:
        click.echo(f"{table} lacks today or tomorrow: run `wedops run measurements.retain`")
