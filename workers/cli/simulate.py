"""`wedops simulate`: a Saturday that never was, through the planner."""

from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson

from workers.cli import pictures
from workers.cli.parameters import MomentText
from workers.forecasting.rules import peak_forecast
from workers.forecasting.rules.forecast import Policy as Forecasting
from workers.foundation import clock, settings
from workers.foundation.moments import Moment
from workers.scaling.rules.policy import Policy, Resource
from workers.simulation.rules import imagined
from workers.simulation.rules.replay import Past, Planner, replay
from workers.weddings.rules import calendar

#: So many days before it are played to learn from.
BEFORE = 14
#: The day's first minute.
FIRST = BEFORE * 1440


@click.command("simulate")
@click.option("--saturday", is_flag=True, help="The next Saturday; without it the day of --day.")
@click.option("--day", type=MomentText(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Another day.")
@click.option("--x10", is_flag=True, help="Ten times the weddings of an ordinary one.")
@click.option(
    "--a-year",
    type=click.IntRange(10, 2_000_000),
    default=20_000,
    show_default=True,
    help="Weddings a year, all regions.",
)
@click.option("--storm", is_flag=True, help="Four hours before, a storm moves all in the open air.")
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed, the same day."
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the first region: a .png or .svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    saturday: bool,
    day: datetime | None,
    x10: bool,
    a_year: int,
    storm: bool,
    seed: int,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Play a day that never was through the planner as it is set, and say how it went.

    Nothing is written anywhere. Weddings are called off and moved as real ones are, and people behave a bit
    otherwise than the forecaster assumes. There are as many instances as are needed, whatever
    SCALING_INSTANCES_MAX says.
    """
    on = day.date() if day else _next_saturday(clock.now().date())
    if saturday and on.weekday() != 5:
        raise click.BadParameter(f"{on} is no Saturday", param_hint="--day")
    found: dict[str, dict[str, Any]] = {}
    for past, weddings in _pasts(on, a_year, 10 if x10 else 1, storm, seed):
        policy = _policy(past)
        outcome, supply = replay(_planner(past, policy), FIRST)
        if picture and not found:
            pictures.capacity(picture, past, supply, policy)
        found[past.region] = {
            "weddings": weddings,
            "peak": int(past.load[FIRST:].max()),
            **asdict(outcome),
            "text": outcome.text(),
        }
    if as_json:
        click.echo(
            orjson.dumps({"schema": "wedops.simulate/1", "day": on, "seed": seed, "regions": found}).decode()
        )
    for region, facts in found.items() if not as_json else ():
        click.echo(
            f"{region}: {facts['weddings']} weddings on {on:%a %Y-%m-%d}, {facts['peak']} connections at most"
        )
        click.echo(f"    {facts['text']}")


def _next_saturday(today: date) -> date:
    return today + timedelta(days=(5 - today.weekday()) % 7 or 7)


def _planner(past: Past, policy: Policy) -> Planner:
    forecasting, margins = settings.read(Forecasting), settings.read(peak_forecast.Policy)
    return Planner(past, policy, forecasting, margins, settings.read(calendar.Policy))


def _policy(past: Past) -> Policy:
    """Return the settings, with as many instances as the day may need.

    How many there could be is not what is tried.
    """
    policy = settings.read(Policy)
    needed = policy.bounds(Resource.INSTANCES).holding(float(past.load[FIRST:].max()), policy.utilisation)
    return replace(policy, instances_max=max(policy.instances_max, 2 * needed), instances_ceiling=0)


def _pasts(on: date, a_year: int, times: int, storm: bool, seed: int) -> list[tuple[Past, int]]:
    """Return each region's day with the weeks before it, and how many weddings it has."""
    chance = np.random.default_rng(seed)
    before = [on - timedelta(days=days) for days in range(1, BEFORE + 2)]
    planned = [
        *imagined.weddings(sorted(before), a_year, chance),
        *imagined.weddings([on], a_year * times, chance),
    ]
    storms, phases = ([on] if storm else []), settings.read(calendar.Policy)
    versions = imagined.calendar(planned, chance, storms=storms)
    shares = imagined.truth(settings.read(Forecasting), chance)
    # The American Saturday ends on Sunday, UTC.
    starts_at = Moment(datetime(on.year, on.month, on.day, 8, tzinfo=UTC)) - timedelta(days=BEFORE)
    found = []
    for region, zone in imagined.REGIONS.items():
        ours = [one for one in versions if one.wedding.region == region]
        held = imagined.took_place(ours)
        minutes = (BEFORE + 1) * 1440
        load = imagined.load(held, starts_at, minutes, shares, phases, chance, crowded=storms)
        known = imagined.Known(ours)
        there = sum(one.starts_local.date() == on for one in held)
        found.append((Past(region, starts_at, load, known, zone=zone), there))
    return found
