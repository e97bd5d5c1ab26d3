"""`wedops replay`: a past span through the planner, with the calendar as it was known then."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import orjson

from workers.cli import pictures
from workers.cli.parameters import MomentText
from workers.foundation import clock, settings
from workers.scaling.rules.policy import Policy
from workers.simulation import usecases as simulation
from workers.simulation.rules.replay import Outcome

_MOMENT = MomentText(["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


@click.command("replay")
@click.argument("region", required=False)
@click.option(
    "--from", "start", type=_MOMENT, help="UTC; without it a day before the end, or the first measurement."
)
@click.option("--to", "end", type=_MOMENT, help="UTC; without it now.")
@click.option(
    "--short-max",
    "--short-most",
    "short_max",
    type=click.FloatRange(0),
    help="Exit with 3 when capacity is short for more percent of the time.",
)
@click.option(
    "--cost-max",
    "--cost-most",
    "cost_max",
    type=click.FloatRange(1),
    help="Exit with 3 when it costs more than so many times the cheapest plan.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw it: a .png or .svg, for one region.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    region: str | None,
    start: datetime | None,
    end: datetime | None,
    short_max: float | None,
    cost_max: float | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Say how a past span would have gone with the settings of now, by REGION, or all of them.

    A gate for a change of them.
    """
    first, last = _span(start, end)
    if picture and not region:
        raise click.BadParameter("name the region to draw", param_hint="REGION")
    found = _play(region, first, last, cut=start is None, picture=picture)
    if as_json:
        rows = {name: asdict(outcome) for name, outcome in found.items()}
        text = orjson.dumps(
            {"schema": "wedops.replay/1", "from": first, "to": last, "regions": rows}
        ).decode()
    else:
        text = "\n".join(f"{name}: {outcome.text()}" for name, outcome in found.items())
    click.echo(text)
    short, cost = max(one.short for one in found.values()), max(one.cost for one in found.values())
    sys.exit(3 if any((_above(short, short_max), _above(cost, cost_max))) else 0)


def _span(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    last = end.replace(tzinfo=UTC) if end else clock.now()
    first = start.replace(tzinfo=UTC) if start else last - timedelta(days=1)
    if first >= last:
        raise click.BadParameter("must be before --to", param_hint="--from")
    return first, last


def _above(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _play(
    region: str | None, first: datetime, last: datetime, *, cut: bool, picture: Path | None
) -> dict[str, Outcome]:
    played = simulation.replayed(region, first, last, now=clock.now(), cut=cut)
    if not played:
        raise click.ClickException("no region has a wedding in the calendar: nothing was played")
    if picture:
        [(_, past, supply)] = played.values()
        pictures.capacity(picture, past, supply, settings.read(Policy))
    return {name: outcome for name, (outcome, _, _) in played.items()}
