"""`wedops plan`: what a peak that is known ahead needs, and which days need more than there can be."""

import sys
from datetime import timedelta
from math import isnan
from typing import Any

import click
import orjson

from workers.connections import actions
from workers.connections.rules.peak import PeakPlan, peak_plan
from workers.connections.store import service
from workers.foundation import clock, database, settings
from workers.scaling import actions as scaling
from workers.scaling import rules as scaling_rules


@click.group("plan")
def command() -> None:
    """Plan for what is known ahead."""


@command.command("end-peak")
def end_peak() -> None:
    """End the peak that was begun, before its time."""
    planned = service.planned_peak()[0]
    actions.end_peak()
    click.echo("the peak is over" if planned else "no peak was planned")


@command.command("peak")
@click.option("--connections", type=click.IntRange(1, 10_000_000), required=True, help="How many are expected at once.")
@click.option("--hours", type=click.FloatRange(0.1, 72), required=True, help="For how long.")
@click.option(
    "--begin", is_flag=True, help="Begin it now: scaling keeps the room, weddings are warmed, the sweep is aggressive."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def peak(connections: int, hours: float, begin: bool, as_json: bool) -> None:
    """Say how to serve so many connections: a fifth more is made ready, in pools of at most 1,000."""
    if isnan(hours):
        raise click.BadParameter("must be a number", param_hint="--hours")
    duration, until = timedelta(hours=hours), clock.now() + timedelta(hours=hours)
    if begin:
        plan, warmed = actions.prepare_peak(connections, until)
    else:
        plan, warmed = peak_plan(connections, duration, capacity=service.capacity()), []
    if as_json:
        click.echo(
            orjson.dumps(_facts(plan) | {"begun_until": until.isoformat() if begin else None, "warmed": warmed}).decode()
        )
        return
    click.echo(f"{plan.expected} expected, {plan.needed} to be made ready in {plan.pools} pool(s)")
    for step in plan.steps:
        click.echo(f"  {step.step:<22}{timedelta(seconds=round(step.takes.total_seconds()))}  {step.detail}")
    if begin:
        ends = until.isoformat(timespec="minutes")
        click.echo(
            f"begun: until {ends} scaling keeps room for {plan.needed}, jobs run as on a wedding day, the sweep is aggressive"
        )
        click.echo(f"{len(warmed)} wedding(s) are warmed")


@command.command("capacity")
@click.option("--days", type=click.IntRange(1, 730), default=90, show_default=True, help="How far to look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def capacity(days: int, as_json: bool) -> None:
    """Say on which days to come a region may need more instances than it may have. Exit code 3 when there are any."""
    policy = settings.read(scaling_rules.Policy, "SCALING_")
    with database.transaction() as db:
        found = scaling.capacity(db, now=clock.now(), days=days)
    if as_json:
        rows = [vars(one) | {"instances_max": policy.instances_max} for one in found]
        click.echo(orjson.dumps({"schema": "wedops.capacity/1", "days": days, "full": rows}).decode())
    else:
        for one in found:
            when = f"{one.day:%a %Y-%m-%d}  {one.region}  {one.connections} connections at {one.at:%H:%M} UTC"
            click.echo(
                f"{when} (1 in 100 that it is more at that moment): {one.instances} instances, {policy.instances_max} at most"
            )
        click.echo(f"{len(found)} day(s) of {days} may need more than there can be; SCALING_INSTANCES_MAX raises it")
    sys.exit(3 if found else 0)


def _facts(plan: PeakPlan) -> dict[str, Any]:
    steps = [vars(step) | {"takes_seconds": step.takes.total_seconds()} for step in plan.steps]
    for step in steps:
        del step["takes"]
    return {"schema": "wedops.peak/1", **vars(plan), "steps": steps}
