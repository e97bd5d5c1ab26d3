"""What there is of each resource, what was decided and ordered, and how good that was."""

from collections.abc import Mapping
from typing import Any

import click
import orjson

from workers.cli.parameters import operator
from workers.foundation import clock, database, settings
from workers.foundation.moments import Moment
from workers.scaling.rules.actions import REJECTED, Action
from workers.scaling.rules.orders import Order
from workers.scaling.rules.policy import SHARED, Policy, Resource
from workers.scaling.usecases import seen
from workers.simulation import usecases as simulation
from workers.weddings.rules.calendar import EVERYWHERE

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
MAX = click.option("--limit", "--most", "limit", type=click.IntRange(1, 1000), default=50, show_default=True)


@click.command("show")
@JSON
def show(as_json: bool) -> None:
    """Show what there should be, what the real systems have, and which orders hold."""
    now = clock.now()
    with database.transaction() as db:
        found = seen.overview(db, now=now)
    if as_json:
        _print("wedops.scaling/3", regions=found.regions, proposals=found.proposals)
        return
    for row in found.regions:
        has = "  ".join(f"{name}={_has(**found)}" for name, found in row["has"].items())
        click.echo(f"{row['region']:<16}{row['mode']:<8}{has}")
        for order in row["orders"]:
            click.echo(f"    {order.kind} {_until(order)} by {order.requested_by}: {order.reason}")
    for one in found.proposals:
        click.echo(f"{one.state}: {one.resource} of {one.region} up to {one.to}{_ends(one, now)}")


def _ends(proposal: Action, now: Moment) -> str:
    """Say until when a proposal is allowed, or how to allow it."""
    if not proposal.until:
        return f": `wedops scaling approve {proposal.id} --for 6h`"
    expired = ", ended: it goes when nobody needs it" if proposal.until <= now else ""
    return f", until {proposal.until:%Y-%m-%d %H:%M}{expired}"


def _print(schema: str, **facts: Any) -> None:
    click.echo(orjson.dumps({"schema": schema} | facts).decode())


def _has(wanted: int | None, state: str | None, seen: Mapping[str, int | None], problem: str | None) -> str:
    if wanted is None:
        return "as it is"
    differing = [
        f"{name}: {value if value is not None else 'nothing yet'}"
        for name, value in seen.items()
        if value != wanted
    ]
    return f"{wanted} ({problem or ', '.join(differing) or state})"


def _until(order: Order) -> str:
    return f"until {order.until:%Y-%m-%d %H:%M}" if order.until else "until it is ended"


@click.command("actions")
@MAX
@JSON
def actions(limit: int, as_json: bool) -> None:
    """List the newest actions with what became of them."""
    with database.transaction() as db:
        found = seen.recent(db, limit=limit)
    if as_json:
        _print("wedops.scaling_actions/2", actions=found)
        return
    click.echo(
        "id, made (UTC), region, resource, from → to, reason, purpose, state, by whom, problem"
        if found
        else "none yet"
    )
    for one in found:
        note = f"  {one.problem}" if one.problem not in (None, REJECTED) else ""
        by = f" by {one.settled_by}" if one.settled_by else ""
        click.echo(
            f"{one.id:>6}  {one.created_at:%Y-%m-%d %H:%M}  "
            f"{one.region:<14}{one.resource:<22}{one.before:>5} → {one.to:<5}"
            f"{one.reason:<18}{one.purpose:<10}{one.state}{by}{note}"
        )


@click.command("audit")
@MAX
@JSON
def audit(limit: int, as_json: bool) -> None:
    """List who ordered and settled what and why, the newest first."""
    with database.transaction() as db:
        ordered, settled = seen.audit(db, limit=limit)
    if as_json:
        _print("wedops.scaling_audit/2", orders=ordered, settled=settled)
        return
    lines = [(one.at, _ordered(one)) for one in ordered] + [
        (one.settled_at or one.created_at, _settled(one)) for one in settled
    ]
    if not lines:
        click.echo("nobody ordered anything yet")
    for at, line in sorted(lines, reverse=True)[:limit]:
        click.echo(f"{at:%Y-%m-%d %H:%M}  {line}")


def _ordered(one: Order) -> str:
    ended = f", ended {one.ended_at:%Y-%m-%d %H:%M} by {one.ended_by}" if one.ended_at else ""
    return f"{one.region:<14}{one.kind:<19}{_until(one)}{ended}  {one.requested_by}: {one.reason}"


def _settled(one: Action) -> str:
    until = f" until {one.until:%Y-%m-%d %H:%M}" if one.until else ""
    why = f": {one.problem}" if one.problem not in (None, REJECTED) else ""
    return (
        f"{one.region:<14}{one.state:<19}action {one.id}, {one.resource} up to {one.to}{until}  "
        f"{one.settled_by}{why}"
    )


@click.command("try")
@click.argument("resource", type=click.Choice([str(one) for one in Resource]))
@click.argument("region")
@click.argument("to", type=click.IntRange(0))
def dry_run(resource: str, region: str, to: int) -> None:
    """Say what the actuators of a resource would do, without doing it."""
    kind, bounds = Resource(resource), settings.read(Policy).bounds(Resource(resource))
    if (kind in SHARED) != (region == EVERYWHERE):
        whose = f"all regions share {resource}" if kind in SHARED else f"each region has its {resource}"
        raise click.BadParameter(
            f"{whose}: name {EVERYWHERE if kind in SHARED else 'one'}", param_hint="REGION"
        )
    if not bounds.min <= to <= bounds.ceiling:
        raise click.BadParameter(f"must be from {bounds.min} to {bounds.ceiling}", param_hint="TO")
    with database.transaction() as db:
        found = seen.dry_run(db, kind, region, to, by=operator(), now=clock.now())
    for name, (has, would) in found.items():
        click.echo(f"{name}: has {has}; {would}")
    if not found:
        click.echo(f"{resource} has no actuator: SCALING_ACTUATORS names none")


@click.command("regret")
@click.argument("region")
@click.option("--days", type=click.IntRange(1, 30), default=7, show_default=True)
@JSON
def regret(region: str, days: int, as_json: bool) -> None:
    """Compare what was decided for a region with what was needed, afterwards.

    Short of capacity, and money for nothing.
    """
    with database.transaction() as db:
        outcome = simulation.regret(db, region, now=clock.now(), days=days)
    if as_json:
        _print("wedops.scaling_regret/1", region=region, days=days, outcome=outcome)
        return
    click.echo(outcome.text() if outcome else f"{region} was not measured in the last {days} days")
