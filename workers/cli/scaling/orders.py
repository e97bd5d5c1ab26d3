"""Orders of people: which regions act, what is held, added at once, allowed. All are kept."""

from datetime import timedelta

import click

from workers.app import app
from workers.cli.parameters import Duration, Words, operator
from workers.cli.scaling.places import check, places
from workers.foundation import clock, database, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import Moment
from workers.scaling.rules.decision import State
from workers.scaling.rules.orders import Kind, Mode, Order
from workers.scaling.rules.policy import Policy
from workers.scaling.store import actions as store
from workers.scaling.store import orders
from workers.scaling.usecases import modes
from workers.weddings.rules import EVERYWHERE


class NoEmergency(ExpectedError):
    """{region} gets nothing by an emergency; name a region that acts (`wedops scaling live REGION --reason …` lets it)"""


FOR = click.option("--for", "lasts", type=Duration(), help="For how long: 30m, 2h, 7d; each command says what holds without.")
REASON = click.option("--reason", required=True, type=Words(), help="Why; it is kept with the order.")


@click.command("live")
@click.argument("region")
@REASON
def live(region: str, reason: str) -> None:
    """Have a region's decisions carried out."""
    _order(region, Kind.LIVE, reason)
    with database.transaction() as db:
        mode = modes.mode_of(db, region, settings.read(Policy), now=clock.now())
    watches = "only watches still: a shadow order for a time lies on top, or PREDICTIVE_SCALING_ENABLED is off"
    click.echo(f"{region} {'acts' if mode is Mode.LIVE else watches}")


@click.command("shadow")
@click.argument("region")
@FOR
@REASON
def shadow(region: str, lasts: timedelta | None, reason: str) -> None:
    """Have a region decide and write, and nothing carried out: for a time, or until `live` ends it."""
    _order(region, Kind.SHADOW, reason, lasts=lasts)
    click.echo(f"{region} only watches" + (f"; `wedops scaling regret {region}` compares" if region != EVERYWHERE else ""))


@click.command("hold")
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


@click.command("resume")
@click.argument("region")
def resume(region: str) -> None:
    """End holds and the emergency of a region; whether it acts stays as it is (`live`, `shadow`)."""
    with database.transaction() as db:
        check(region, places(db))
        kinds = (Kind.HOLD_IN, Kind.HOLD_OUT, Kind.EMERGENCY)
        ended = sum(orders.end(db, region, kind, by=operator(), at=clock.now()) for kind in kinds)
    _wake()
    click.echo(f"{ended} order(s) of {region} ended")


@click.command("emergency")
@click.argument("region")
@click.option("--to", type=click.IntRange(1), help="Instances; without it as many as there may be.")
@FOR
@REASON
def emergency(region: str, to: int | None, lasts: timedelta | None, reason: str) -> None:
    """Have a region get instances at once (`everywhere`: the cache all it may have), past cooldowns and holds, within its cap.

    For 2h, unless said otherwise.
    """
    policy = settings.read(Policy)
    most = policy.instances_max
    with database.transaction() as db:
        mode = modes.mode_of(db, region, policy, now=clock.now())
    if mode is Mode.SHADOW:
        raise NoEmergency(region=region)
    if to and region == EVERYWHERE:
        raise click.BadParameter("the cache gets all it may have; leave it out", param_hint="--to")
    if to and to > most:
        raise click.BadParameter(f"{most} is the cap; SCALING_INSTANCES_MAX raises it", param_hint="--to")
    _order(region, Kind.EMERGENCY, reason, lasts=lasts or timedelta(hours=2), value=to or most)
    what = (
        "the cache gets all it may have"
        if region == EVERYWHERE
        else f"{region} gets {to or most} instances at least, {most} is its cap"
    )
    click.echo(what)


@click.command("approve")
@click.argument("id", type=click.IntRange(1, 2**63 - 1))
@FOR
def approve(id: int, lasts: timedelta | None) -> None:
    """Let a proposal above the cap be, for 6h unless said otherwise; when its time is over it is undone by itself."""
    until = clock.now() + (lasts or timedelta(hours=6))
    with database.transaction() as db:
        one = store.settle(db, id, State.APPROVED, by=operator(), at=clock.now(), until=until)
    _wake()
    click.echo(f"{one.resource} of {one.region}: up to {one.to} until {until:%Y-%m-%d %H:%M}")


@click.command("reject")
@click.argument("id", type=click.IntRange(1, 2**63 - 1))
def reject(id: int) -> None:
    """Refuse a proposal above the cap."""
    with database.transaction() as db:
        one = store.settle(db, id, State.REJECTED, by=operator(), at=clock.now(), problem=store.REJECTED)
    click.echo(f"{one.resource} of {one.region} stays within its cap")


def _order(region: str, kind: Kind, reason: str, *, lasts: timedelta | None = None, value: int = 0) -> None:
    now: Moment = clock.now()
    with database.transaction() as db:
        check(region, places(db))
        orders.give(db, Order(region, kind, reason, operator(), now, now + lasts if lasts else None, value))
    _wake()


def _wake() -> None:
    """Have scaling decide now; when the broker is away, its own schedule does."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - beside the only place that needs it

    try:
        app.send_task("scaling.decide", retry=False)
    except OperationalError:
        click.echo("(the broker is away: it is decided at the next run)", err=True)
