"""Orders of people: which regions act, what is held, added at once, allowed. All are kept."""

from copy import copy
from datetime import timedelta

import click

from workers.cli.parameters import Duration, Words, operator
from workers.foundation import clock, database
from workers.scaling.rules.orders import Kind, Mode
from workers.scaling.usecases import operators
from workers.weddings.rules.calendar import EVERYWHERE

FOR = click.option(
    "--for", "lasts", type=Duration(), help="For how long: 30m, 2h, 7d; each command says what holds without."
)
#: What nobody ends would be forgotten.
SUSPENDED_FOR = click.option(
    "--for", "lasts", type=Duration(), required=True, help="30m, 2h, 7d; it ends by itself."
)
REASON = click.option("--reason", required=True, type=Words(), help="Why; it is kept with the order.")


@click.command("live")
@click.argument("region")
@REASON
def live(region: str, reason: str) -> None:
    """Have a region's decisions applied."""
    mode = _order(region, Kind.LIVE, reason)
    watches = (
        "only watches still: a shadow order for a time lies on top, or PREDICTIVE_SCALING_ENABLED is off"
    )
    click.echo(f"{region} {'acts' if mode is Mode.LIVE else watches}")


@click.command("shadow")
@click.argument("region")
@FOR
@REASON
def shadow(region: str, lasts: timedelta | None, reason: str) -> None:
    """Have a region decide and write, and nothing applied: for a time, or until `live` ends it."""
    _order(region, Kind.SHADOW, reason, lasts=lasts)
    click.echo(
        f"{region} only watches"
        + (f"; `wedops scaling regret {region}` compares" if region != EVERYWHERE else "")
    )


@click.command("suspend")
@click.argument("direction", type=click.Choice(["in", "out", "both"]))
@click.argument("region")
@SUSPENDED_FOR
@REASON
def suspend(direction: str, region: str, lasts: timedelta, reason: str) -> None:
    """Suspend scaling in, out or both.

    A region gets no less, no more, or neither. An emergency may always add.
    """
    for kind, way in ((Kind.SUSPEND_SCALE_IN, "in"), (Kind.SUSPEND_SCALE_OUT, "out")):
        if direction in (way, "both"):
            _order(region, kind, reason, lasts=lasts)
    click.echo(f"scaling {direction} of {region} is suspended for {lasts}")


#: What it was called before.
hold = copy(suspend)
hold.hidden = True


@click.command("resume")
@click.argument("region")
def resume(region: str) -> None:
    """End suspensions and the emergency of a region; whether it acts stays as it is (`live`, `shadow`)."""
    with database.transaction() as db:
        ended = operators.resume(db, region, by=operator(), now=clock.now())
    _wake()
    click.echo(f"{ended} order(s) of {region} ended")


@click.command("emergency")
@click.argument("region")
@click.option("--to", type=click.IntRange(1), help="Instances; without it as many as there may be.")
@FOR
@REASON
def emergency(region: str, to: int | None, lasts: timedelta | None, reason: str) -> None:
    """Have a region get instances at once, past cool-downs and suspensions, within its cap.

    With `everywhere` the cache gets all that it may have.

    For 2h, unless said otherwise.
    """
    if to and region == EVERYWHERE:
        raise click.BadParameter("the cache gets all it may have; leave it out", param_hint="--to")
    lasts = lasts or timedelta(hours=2)
    with database.transaction() as db:
        gets, cap = operators.declare_emergency(
            db, region, to, by=operator(), reason=reason, now=clock.now(), lasts=lasts
        )
    _wake()
    shared = "the cache gets all it may have"
    click.echo(
        shared if region == EVERYWHERE else f"{region} gets {gets} instances at least, {cap} is its cap"
    )


@click.command("approve")
@click.argument("id", type=click.IntRange(1, 2**63 - 1))
@FOR
def approve(id: int, lasts: timedelta | None) -> None:
    """Let a proposal above the cap be, for 6h unless said otherwise.

    When its time has ended it is undone by itself.
    """
    with database.transaction() as db:
        one = operators.approve(db, id, by=operator(), now=clock.now(), lasts=lasts or timedelta(hours=6))
    _wake()
    click.echo(f"{one.resource} of {one.region}: up to {one.to} until {one.until:%Y-%m-%d %H:%M}")


@click.command("reject")
@click.argument("id", type=click.IntRange(1, 2**63 - 1))
def reject(id: int) -> None:
    """Refuse a proposal above the cap."""
    with database.transaction() as db:
        one = operators.reject(db, id, by=operator(), now=clock.now())
    click.echo(f"{one.resource} of {one.region} stays within its cap")


def _order(region: str, kind: Kind, reason: str, *, lasts: timedelta | None = None) -> Mode:
    with database.transaction() as db:
        mode = operators.order(db, region, kind, by=operator(), reason=reason, now=clock.now(), lasts=lasts)
    _wake()
    return mode


def _wake() -> None:
    """Have scaling decide now; when the broker is unavailable, its own schedule does."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - beside the only place that needs it

    from workers.scaling.tasks import decide  # noqa: PLC0415

    try:
        decide.apply_async(retry=False)
    except OperationalError:
        click.echo("(the broker is away: it is decided at the next run)", err=True)
