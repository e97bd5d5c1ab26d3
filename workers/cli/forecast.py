"""`wedops forecast`: what is expected of each region, and how good it was."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson
from sqlalchemy import Connection

from workers.cli import pictures
from workers.cli.parameters import MomentText
from workers.forecasting.rules import forecast as rules
from workers.forecasting.rules.calibration import ENOUGH, Score
from workers.forecasting.rules.shares import QUANTILES
from workers.forecasting.usecases import forecasts
from workers.foundation import clock, database, settings
from workers.foundation.errors import ExpectedError
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.usecases.seen import during
from workers.snapshots import usecases as snapshots

_PICTURE = click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw band, actual and capacity: a .png or .svg.",
)


class ForecastMissing(ExpectedError):
    """region {region!r} has no forecast{when}; `wedops run forecasting.refresh` makes one, if it has
    weddings"""


@click.group("forecast")
def command() -> None:
    """See what is expected, and how good it was."""


@command.command("show")
@click.argument("region")
@click.option("--hours", type=click.IntRange(1, 48), default=24, show_default=True, help="How far to look.")
@click.option(
    "--back",
    type=click.IntRange(0, 48),
    default=6,
    show_default=True,
    help="Hours of the past in the picture.",
)
@click.option(
    "--at", type=MomentText(["%Y-%m-%dT%H:%M"]), help="The forecast of another moment (UTC), not the newest."
)
@_PICTURE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(
    region: str, hours: int, back: int, at: datetime | None, picture: Path | None, as_json: bool
) -> None:
    """Show a region's newest forecast by hour.

    Its 10, 50, 90 and 99 % quantiles, the highest of each hour.
    """
    now = at.replace(tzinfo=UTC) if at else clock.now()
    with database.transaction() as db:
        found = forecasts.latest(db, region, before=now if at else None)
        if picture and found:
            _draw(db, picture, found, back, hours)
    if not found:
        when = f" made before {now:%Y-%m-%d %H:%M} UTC" if at else ""
        raise ForecastMissing(region=region, when=when)
    made = f"{found.starts_at:%Y-%m-%d %H:%M} UTC"
    if found.peak(now, now) is None:
        raise click.BadParameter(f"the forecast of {made} does not reach it", param_hint="--at")
    rows = [_hour(found, now + timedelta(hours=hour)) for hour in range(hours)]
    if as_json:
        facts = {"schema": "wedops.forecast/1", "region": region, "made_at": found.starts_at, "hours": rows}
        click.echo(orjson.dumps(facts).decode())
        return
    click.echo(f"{region}, from {made}, {found.ratio:.2f} times what the calendar says")
    for row in rows:
        click.echo(f"{row['at']:%a %H:%M}" + "".join(f"{name:>8}{row[name]:>9,.0f}" for name in QUANTILES))


def _hour(found: rules.Forecast, at: datetime) -> dict[str, Any]:
    """Return the highest of each quantile in an hour."""
    until = at + timedelta(hours=1) - found.step
    return {"at": at} | {name: round(found.peak(at, until, name) or 0.0, 1) for name in QUANTILES}


def _draw(db: Connection, picture: Path, found: rules.Forecast, back: int, hours: int) -> None:
    """Draw what was forecast beside what came of it."""
    region, policy = found.region, settings.read(Policy)
    start, end = (
        found.starts_at - timedelta(hours=back),
        min(clock.now(), found.starts_at + timedelta(hours=hours)),
    )
    seen = [(at, float(count)) for where, at, count in snapshots.history(db, start, end) if where == region]
    made = during(db, region, Resource.INSTANCES, start, end)
    steps = [(max(one.created_at, start), one.to * float(policy.connections_per_instance)) for one in made]
    steps += [(end, steps[-1][1])] if steps else []
    pictures.band(picture, found, _line(seen), _line(steps), hours=hours)


def _line(points: Sequence[tuple[datetime, float]]) -> pictures.Line:
    return [at for at, _ in points], [value for _, value in points]


@command.command("backtest")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backtest(as_json: bool) -> None:
    """Say how the last days' forecasts did, by region and how far ahead.

    Coverage of each quantile, bias, pinball loss.
    """
    with database.transaction() as db:
        found = forecasts.backtest(db, now=clock.now())
    if as_json:
        regions = {
            region: {str(ahead): _facts(one) for ahead, one in rows.items()} for region, rows in found.items()
        }
        click.echo(orjson.dumps({"schema": "wedops.backtest/1", "regions": regions}).decode())
        return
    for region, rows in found.items():
        for line in _scored(rows):
            click.echo(f"{region:<14}{line}")
    if not found:
        click.echo(
            "nothing to compare yet: a forecast must be an hour old, and its region measured since then"
        )


def _facts(one: Score) -> dict[str, Any]:
    return vars(one) | {"trust": one.trust}


def _scored(rows: Mapping[int, Score]) -> Iterator[str]:
    for ahead, one in sorted(rows.items()):
        if not one.pairs:
            continue
        cover = "  ".join(f"{name} {share:.0%}" for name, share in sorted(one.coverage.items()))
        far = f"{ahead // 60:>3} h" if ahead <= 1440 else f"{ahead // 1440:>3} d"
        pinball = np.mean(list(one.pinball.values()))
        yield (
            f"{far} ahead  {one.pairs:>5} steps  {cover}  bias {one.bias:+.0%}  pinball {pinball:,.1f}  "
            f"{_trust(one)}"
        )


def _trust(score: Score) -> str:
    return str(score.trust) if score.pairs >= ENOUGH else f"too few to evaluate (of {ENOUGH})"
