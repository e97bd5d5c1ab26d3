"""`wedops metrics`: what is measured, and whether there is room for it."""

from datetime import timedelta
from typing import Any

import click
import orjson

from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.measurements.store import points, rollups
from workers.measurements.usecases import keeping


class NotRolledUp(ExpectedError):
    """{series!r} is measured, and nothing of the last {hours} h is rolled up yet: a minute or an hour is once it is over"""


class NothingMeasured(ExpectedError):
    """nothing was measured of {series!r} in the last {hours} h; `wedops metrics series` lists what is"""


@click.group("metrics")
def command() -> None:
    """See what services measure."""


@command.command("series")
@click.argument("name", default="")
def series(name: str) -> None:
    """List the series of a name, or all (1,000 at most)."""
    with database.transaction() as db:
        for text in rollups.known(db, name):
            click.echo(text)


@command.command("show")
@click.argument("series")
@click.option("--hours", type=click.IntRange(1, 10_000), default=3, show_default=True)
@click.option("--by", "level", type=click.Choice(list(rollups.SPANS)), default="minute", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(series: str, hours: int, level: str, as_json: bool) -> None:
    """Show a series, or all of a name, by minute, hour or day: how many, least, median, 95th and 99th percentile, most."""
    now = clock.machine_now()
    with database.transaction() as db:
        # A name stands for all its series.
        named = rollups.known(db, series.partition("{")[0], most=1000)
        texts = [series] if "{" in series else named[:20]
        known = set(texts) & set(named)
        start = now - timedelta(hours=hours)
        found = {text: rollups.history(db, text, level, start, now) for text in texts}
    rows = {text: [_row(one) for one in summaries] for text, summaries in found.items() if summaries}
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.series/1", "series": rows}).decode())
    elif not rows:
        raise (NotRolledUp if known else NothingMeasured)(series=series, hours=hours)
    else:
        for text, lines in rows.items():
            click.echo("\n".join([text, *map(_line, lines)]))


def _line(row: dict[str, Any]) -> str:
    return "  " + "  ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{value}" for key, value in row.items())


def _row(one: rollups.Summary) -> dict[str, object]:
    facts: dict[str, object] = {"at": one.at, "count": one.count, "least": one.least, "most": one.most}
    return facts | {f"p{percent}": one.quantile(percent / 100) for percent in (50, 95, 99)}


@command.command("partitions")
def partitions() -> None:
    """Say which days points can be written to, and which tables lack today's or tomorrow's."""
    with database.transaction() as db:
        days, missing = points.days(db), keeping.missing_partitions(db, now=clock.machine_now())
    click.echo(f"points: {days[0]} to {days[-1]}" if days else "points: no day at all; run `wedops run measurements.retain`")
    for table in missing:
        click.echo(f"{table} lacks today or tomorrow: run `wedops run measurements.retain`")
