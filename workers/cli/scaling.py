"""`wedops scaling`: what there is of each resource and why; orders of people, all kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click
import orjson
from sqlalchemy import Connection

from workers.app import app
from workers.cli.parameters import Duration, Words, operator
from workers.foundation import clock, database, settings
from workers.foundation.errors import Anticipated
from workers.scaling import client, rules, store
from workers.scaling.actions import plans, readings
from workers.scaling.rules import EVERYWHERE, Resource, State
from workers.scaling.store import Action, orders
from workers.scaling.store.orders import Kind, Order
from workers.weddings import store as weddings


class RegionUnknown(Anticipated):
    """region {region!r} has no weddings; there are {known}, and `everywhere` for the cache, database connections and workers"""


class NoEmergency(Anticipated):
    """{region} gets nothing by an emergency; name a region that acts (`wedops scaling live REGION --reason …` lets it)"""


FOR = click.option("--for", "lasts", type=Duration(), help="For how long: 30m, 2h, 7d; each command says what holds without.")
REASON = click.option("--reason", required=True, type=Words(), help="Why; it is kept with the order.")


@click.group("scaling")
def command() -> None:
    """See and steer how much there is of each resource."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(as_json: bool) -> None:
    """Show what there should be, what the real systems have, and which orders hold."""
    policy, now = settings.read(rules.Policy, "SCALING_"), clock.now()
    with database.transaction() as db:
        latest, standing, regions = store.latest(db), orders.standing(db, at=now), weddings.regions(db)
        proposals = store.proposals(db)
    rows = [_row(region, latest, standing, policy) for region in [*regions, EVERYWHERE]]
    if as_json:
        waiting = [vars(one) for one in proposals]
        click.echo(orjson.dumps({"schema": "wedops.scaling/1", "regions": rows, "proposals": waiting}).decode())
        return
    for row in rows:
        click.echo(f"{row['region']:<16}{row['mode']:<8}" + "  ".join(f"{name}={text}" for name, text in row["has"].items()))
        for order in row["orders"]:
            click.echo(f"    {order}")
    for one in proposals:
        until = f", until {one.until:%Y-%m-%d %H:%M}" if one.until else f": `wedops scaling approve {one.id} --for 6h`"
        click.echo(f"{one.state}: {one.resource} of {one.region} up to {one.to}{until}")


def _row(region: str, latest: Any, standing: Any, policy: rules.Policy) -> dict[str, Any]:
    given: dict[Kind, Order] = standing.get(region, {})
    mode = next((str(kind) for kind in (Kind.LIVE, Kind.SHADOW) if kind in given), policy.new_regions)
    ours = [one for one in client.managed() if (one in rules.SHARED) == (region == EVERYWHERE)]
    has = {str(resource): _has(latest.get((region, resource)), resource) for resource in ours}
    texts = [f"{kind} {_until(one)} by {one.asked_by}: {one.reason}" for kind, one in given.items()]
    return {"region": region, "mode": mode, "has": has, "orders": texts}


def _has(action: Action | None, resource: Resource) -> str:
    if not action:
        return "as it is"
    try:
        seen = {name: actuator.seen(action) for name, actuator in client.of(resource).items()}
    except Exception as error:
        # A plug-in may raise anything; the other rows are shown.
        return f"{action.to} ({error if isinstance(error, Anticipated) else type(error).__name__})"
    differing = [f"{name} has {value}" for name, value in seen.items() if value != action.to]
    return f"{action.to} ({', '.join(differing) or action.state})"


def _until(order: Order) -> str:
    return f"until {order.until:%Y-%m-%d %H:%M}" if order.until else "until it is ended"


@command.command("actions")
@click.option("--most", type=click.IntRange(1, 1000), default=20, show_default=True)
def actions(most: int) -> None:
    """List the newest actions with what became of them."""
    with database.transaction() as db:
        found = store.recent(db, most=most)
    click.echo("id, made (UTC), region, resource, from → to, reason, purpose, state, by whom, problem" if found else "none yet")
    for one in found:
        note = f"  {one.problem}" if one.problem not in (None, store.REJECTED) else ""
        by = f" by {one.settled_by}" if one.settled_by else ""
        click.echo(
            f"{one.id:>6}  {one.created_at:%Y-%m-%d %H:%M}  {one.region:<14}{one.resource:<22}{one.before:>5} → {one.to:<5}"
            f"{one.reason:<18}{one.purpose:<10}{one.state}{by}{note}"
        )


@command.command("audit")
@click.option("--most", type=click.IntRange(1, 1000), default=50, show_default=True)
def audit(most: int) -> None:
    """List who ordered what and why, the newest first."""
    with database.transaction() as db:
        found = orders.history(db, most=most)
    if not found:
        click.echo("nobody ordered anything yet")
    for one in found:
        ended = f", ended {one.ended_at:%Y-%m-%d %H:%M} by {one.ended_by}" if one.ended_at else ""
        click.echo(f"{one.at:%Y-%m-%d %H:%M}  {one.region:<14}{one.kind:<10}{_until(one)}{ended}  {one.asked_by}: {one.reason}")


@command.command("live")
@click.argument("region")
@REASON
def live(region: str, reason: str) -> None:
    """Have a region's decisions carried out."""
    _order(region, Kind.LIVE, reason)
    click.echo(f"{region} acts")


@command.command("shadow")
@click.argument("region")
@FOR
@REASON
def shadow(region: str, lasts: timedelta | None, reason: str) -> None:
    """Have a region decide and write, and nothing carried out: for a time, or until `live` ends it."""
    _order(region, Kind.SHADOW, reason, lasts=lasts)
    click.echo(f"{region} only watches; `wedops scaling regret {region}` compares")


@command.command("hold")
@click.argument("direction", type=click.Choice(["in", "out", "both"]))
@click.argument("region")
@FOR
@REASON
def hold(direction: str, region: str, lasts: timedelta | None, reason: str) -> None:
    """Have a region get no less (in), no more (out), or neither; an emergency may always add."""
    if not lasts:
        raise click.BadParameter("say for how long: a hold that nobody ends would be forgotten", param_hint="--for")
    for kind in (Kind.HOLD_IN, Kind.HOLD_OUT):
        if direction in (kind.removeprefix("hold_"), "both"):
            _order(region, kind, reason, lasts=lasts)
    click.echo(f"{region} is held ({direction}) for {lasts}")


@command.command("resume")
@click.argument("region")
def resume(region: str) -> None:
    """End holds and the emergency of a region; whether it acts stays as it is (`live`, `shadow`)."""
    with database.transaction() as db:
        _check(region, _places(db))
        kinds = (Kind.HOLD_IN, Kind.HOLD_OUT, Kind.EMERGENCY)
        ended = sum(orders.end(db, region, kind, by=operator(), at=clock.now()) for kind in kinds)
    _wake()
    click.echo(f"{ended} order(s) of {region} ended")


@command.command("emergency")
@click.argument("region")
@click.option("--to", type=click.IntRange(1), help="Instances; without it as many as there may be.")
@FOR
@REASON
def emergency(region: str, to: int | None, lasts: timedelta | None, reason: str) -> None:
    """Have a region get instances at once (`everywhere`: the cache all it may have), past cooldowns and holds, within its cap.

    For 2h, unless said otherwise.
    """
    policy = settings.read(rules.Policy, "SCALING_")
    most = policy.instances_max
    with database.transaction() as db:
        watched = readings.in_shadow(db, policy, now=clock.now())
    if region in watched:
        raise NoEmergency(region=region)
    if to and to > most:
        raise click.BadParameter(f"{most} is the cap; SCALING_INSTANCES_MAX raises it", param_hint="--to")
    _order(region, Kind.EMERGENCY, reason, lasts=lasts or timedelta(hours=2), value=to or most)
    what = (
        "the cache gets all it may have"
        if region == EVERYWHERE
        else f"{region} gets {to or most} instances at least, {most} is its cap"
    )
    click.echo(what)


@command.command("approve")
@click.argument("id", type=int)
@FOR
def approve(id: int, lasts: timedelta | None) -> None:
    """Let a proposal above the cap be, for 6h unless said otherwise; when its time is over it is undone by itself."""
    until = clock.now() + (lasts or timedelta(hours=6))
    with database.transaction() as db:
        one = store.settle(db, id, State.APPROVED, by=operator(), until=until)
    _wake()
    click.echo(f"{one.resource} of {one.region}: up to {one.to} until {until:%Y-%m-%d %H:%M}")


@command.command("reject")
@click.argument("id", type=int)
def reject(id: int) -> None:
    """Refuse a proposal above the cap."""
    with database.transaction() as db:
        one = store.settle(db, id, State.REJECTED, by=operator(), problem=store.REJECTED)
    click.echo(f"{one.resource} of {one.region} stays within its cap")


@command.command("try")
@click.argument("resource", type=click.Choice([str(one) for one in Resource]))
@click.argument("region")
@click.argument("to", type=click.IntRange(0))
def dry_run(resource: str, region: str, to: int) -> None:
    """Say what the actuators of a resource would do, without doing it."""
    asked, bounds = Resource(resource), settings.read(rules.Policy, "SCALING_").bounds(Resource(resource))
    with database.transaction() as db:
        _check(region, [EVERYWHERE] if asked in rules.SHARED else weddings.regions(db))
    if not bounds.least <= to <= bounds.ceiling:
        raise click.BadParameter(f"must be from {bounds.least} to {bounds.ceiling}", param_hint="TO")
    action = Action(0, region, asked, 0, to, "", State.PROPOSED, clock.now(), operator())
    actuators = client.of(asked)
    for name, actuator in actuators.items():
        click.echo(f"{name}: has {_tried(actuator.seen, action)}; {_tried(partial(actuator.apply, dry_run=True), action)}")
    if not actuators:
        click.echo(f"{resource} has no actuator: SCALING_ACTUATORS names none")


def _tried(ask: Callable[[Action], object], action: Action) -> object:
    try:
        return ask(action)
    except Anticipated:
        raise
    except Exception as error:
        raise click.ClickException(f"the actuator failed: {type(error).__name__}: {error}") from error


@command.command("regret")
@click.argument("region")
@click.option("--days", type=click.IntRange(1, 30), default=7, show_default=True)
def regret(region: str, days: int) -> None:
    """Compare what was decided for a region with what was needed, afterwards: short of capacity, and money for nothing."""
    with database.transaction() as db:
        _check(region, weddings.regions(db))
        outcome = plans.regret(db, region, now=clock.now(), days=days)
    click.echo(outcome.text() if outcome else f"{region} was not measured in the last {days} days")


def _order(region: str, kind: Kind, reason: str, *, lasts: timedelta | None = None, value: int = 0) -> None:
    now: datetime = clock.now()
    with database.transaction() as db:
        _check(region, _places(db))
        orders.give(db, Order(region, kind, reason, operator(), now, now + lasts if lasts else None, value))
    _wake()


def _places(db: Connection) -> list[str]:
    """Return where there is something to steer: regions of the calendar, those that were once, and EVERYWHERE."""
    return [*dict.fromkeys([*weddings.regions(db), *store.regions(db), EVERYWHERE])]


def _check(region: str, known: list[str]) -> None:
    if region not in known:
        named = ", ".join(name for name in known if name != EVERYWHERE)
        raise RegionUnknown(region=region, known=named or "none yet: import a calendar")


def _wake() -> None:
    """Have scaling decide now; when the broker is away, its own schedule does."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - beside the only place that needs it

    try:
        app.send_task("scaling.decide", retry=False)
    except OperationalError:
        click.echo("(the broker is away: it is decided at the next run)", err=True)
