"""`wedops plan`: what a peak that is known ahead needs, and which days need more than there can be."""

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from math import isnan
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson

from workers.cli.parameters import MomentText
from workers.connections.rules.peak import PeakPlan
from workers.connections.usecases import peak as peaks
from workers.foundation import clock, database
from workers.scaling.usecases import plans


@click.group("plan")
def command() -> None:
    """Plan for what is known ahead."""


@command.command("end-peak")
def end_peak() -> None:
    """End the peak that was begun, before its time."""
    click.echo("the peak is over" if peaks.end_peak() else "no peak was planned")


@command.command("peak")
@click.option(
    "--connections", type=click.IntRange(1, 10_000_000), required=True, help="How many are expected at once."
)
@click.option("--hours", type=click.FloatRange(0.1, 72), required=True, help="For how long.")
@click.option(
    "--begin",
    is_flag=True,
    help="Begin it now: scaling keeps the room, weddings are warmed, jobs keep a wedding day's pace.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def peak(connections: int, hours: float, begin: bool, as_json: bool) -> None:
    """Say how to serve so many connections: a fifth more is made ready, in pools of at most 1,000."""
    if isnan(hours):
        raise click.BadParameter("must be a number", param_hint="--hours")
    duration, until = timedelta(hours=hours), clock.now() + timedelta(hours=hours)
    if begin:
        plan, warmed = peaks.prepare_peak(connections, until, now=clock.now())
    else:
        plan, warmed = peaks.plan(connections, duration), []
    if as_json:
        click.echo(
            orjson.dumps(
                _facts(plan) | {"begun_until": until.isoformat() if begin else None, "warmed": warmed}
            ).decode()
        )
        return
    click.echo(f"{plan.expected} expected, {plan.needed} to be made ready in {plan.pools} pool(s)")
    for step in plan.steps:
        click.echo(f"  {step.step:<22}{timedelta(seconds=round(step.takes.total_seconds()))}  {step.detail}")
    if begin:
        ends = until.isoformat(timespec="minutes")
        click.echo(f"begun: until {ends} scaling keeps room for {plan.needed}, jobs run as on a wedding day")
        click.echo(f"{len(warmed)} wedding(s) are warmed")


@command.command("capacity")
@click.option("--days", type=click.IntRange(1, 730), default=90, show_default=True, help="How far to look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def capacity(days: int, as_json: bool) -> None:
    """Say on which days to come there may not be enough.

    A region's instances, the plan's connections, joins a second. Exit code 3 when there are any. The plan's
    limits are SCALING_PLAN_CONNECTIONS and SCALING_PLAN_JOINS_PER_SECOND.
    """
    with database.transaction() as db:
        found = plans.full_days(db, now=clock.now(), days=days)
    if as_json:
        click.echo(
            orjson.dumps(
                {"schema": "wedops.capacity/3", "days": days, "full": [vars(one) for one in found]}
            ).decode()
        )
    else:
        for one in found:
            when = f"{one.day:%a %Y-%m-%d}  {one.region:<14}at {one.at:%Y-%m-%d %H:%M} UTC"
            click.echo(
                f"{when}  {one.limit.replace('_', ' ')}: {one.needed}, {one.max} at most (1 in 100 that it "
                "is more then)"
            )
        click.echo(f"{len({one.day for one in found})} day(s) of {days} may need more than there can be")
    sys.exit(3 if found else 0)


@command.command("day")
@click.argument("day", type=MomentText(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def day(day: datetime, as_json: bool) -> None:
    """Say how many connections and instances each region needs on a day.

    By hour of the region's own clocks, until noon of the next day.
    """
    with database.transaction() as db:
        found = plans.day(db, day.date(), now=clock.now())
    if as_json:
        click.echo(
            orjson.dumps(
                {"schema": "wedops.day/2", "day": day.date(), "regions": [asdict(one) for one in found]}
            ).decode()
        )
        return
    for one in found:
        holiday = f", {one.holiday}" if one.holiday else ""
        click.echo(
            f"{one.region} ({one.zone}): {one.weddings} weddings, {one.guests} guests, {one.season} "
            f"season{holiday}"
        )
        for hour in one.hours:
            local = hour.at.astimezone(ZoneInfo(one.zone))
            text = f"  {local:%a %H:%M}  {hour.p50:>8,.0f} connections, {hour.p99:>8,.0f} in 1 of 100"
            beyond = f" ({hour.max} at most)" if hour.instances_p99 > hour.max else ""
            click.echo(f"{text}  {hour.instances:>3} instances, {hour.instances_p99:>3} in 1 of 100{beyond}")
    if not found:
        click.echo("no region has a wedding in the calendar; import one (`wedops weddings import FILE`)")


def _facts(plan: PeakPlan) -> dict[str, Any]:
    steps = [vars(step) | {"takes_seconds": step.takes.total_seconds()} for step in plan.steps]
    for step in steps:
        del step["takes"]
    return {"schema": "wedops.peak/2", **vars(plan), "steps": steps}
