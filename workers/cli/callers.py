"""`wedops callers`."""

from datetime import timedelta

import click

from workers.access.rules import callers as rules
from workers.access.usecases import callers
from workers.access.usecases.callers import Asked
from workers.cli.parameters import operator
from workers.foundation import clock
from workers.foundation.errors import printable

DAYS = click.IntRange(1, rules.LASTS_MAX.days)


@click.group("callers")
def command() -> None:
    """Who may call the HTTP API: their keys, what each may do, and of whose weddings."""


@command.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="ROOM:read or ROOM:write; *:read for all that look.",
)
@click.option("--supplier", "supplier_ids", multiple=True, help="Only weddings of this supplier.")
@click.option("--wedding", "wedding_ids", multiple=True, help="Only this wedding.")
@click.option("--days", type=DAYS, default=365, show_default=True, help="How long the key is good.")
@click.option("--by", default=operator, show_default="your login", help="Who says so.")
def add(
    name: str,
    scopes: tuple[str, ...],
    supplier_ids: tuple[str, ...],
    wedding_ids: tuple[str, ...],
    days: int,
    by: str,
) -> None:
    """Make a caller and print its key, which is shown this once."""
    asked = Asked(scopes, supplier_ids, wedding_ids, timedelta(days=days))
    click.echo(callers.add(name, asked, by=by, now=clock.machine_now()))


@command.command("rotate")
@click.argument("name")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 720),
    default=24,
    show_default=True,
    help="So long the older keys are good.",
)
@click.option("--days", type=DAYS, default=365, show_default=True, help="How long the new key is good.")
@click.option("--by", default=operator, show_default="your login", help="Who says so.")
def rotate(name: str, overlap_hours: int, days: int, by: str) -> None:
    """Print a new key of a caller; its older ones are good for a while."""
    overlap, lasts = timedelta(hours=overlap_hours), timedelta(days=days)
    click.echo(callers.rotate(name, overlap=overlap, lasts=lasts, by=by, now=clock.machine_now()))


@command.command("revoke")
@click.argument("what")
@click.option("--by", default=operator, show_default="your login", help="Who says so.")
def revoke(what: str, by: str) -> None:
    """Revoke a key by its id, or all keys of a caller, at once."""
    ids = callers.revoke(what, by=by, now=clock.machine_now())
    click.echo(f"revoked: {', '.join(ids)}")


@command.command("list")
def listing() -> None:
    """List callers and their keys, and when each was used last."""
    now = clock.machine_now()
    for key in callers.listing():
        state = key.problem(now=now) or f"is good until {key.expires_at:%Y-%m-%d}"
        used = f"used {key.used_at:%Y-%m-%d %H:%M}Z" if key.used_at else "never used"
        bounds = " ".join((*key.supplier_ids, *key.wedding_ids))
        click.echo(
            printable(f"{key.caller}  {key.id}  {state}, {used}  {' '.join(key.scopes)}  {bounds}".rstrip())
        )


@command.command("scopes")
def scopes() -> None:
    """List the scopes, and what each lets a caller do."""
    for name, what in rules.SCOPES.items():
        click.echo(f"{name:<20}{what}")
