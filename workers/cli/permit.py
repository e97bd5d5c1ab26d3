"""`wedops permit`."""

from datetime import timedelta

import click
import orjson

from workers.connections.formats import permits
from workers.connections.rules.admission import UserType


@click.group("permit")
def command() -> None:
    """Permits: the platform issues them, gateways check them. CONNECTIONS_PERMIT_KEYS holds the keys."""


@command.command("issue")
@click.option("--user", "user_id", required=True)
@click.option("--type", "user_type", type=click.Choice([str(kind) for kind in UserType]), required=True)
@click.option("--wedding", "wedding_id", required=True)
@click.option("--supplier", "supplier_id")
@click.option("--supplier-type")
@click.option("--minutes", type=click.IntRange(1, 60), default=15, show_default=True)
def issue(
    user_id: str,
    user_type: str,
    wedding_id: str,
    supplier_id: str | None,
    supplier_type: str | None,
    minutes: int,
) -> None:
    """Print a permit for one person and one wedding."""
    permit = permits.Permit(user_id, user_type, wedding_id, supplier_id, supplier_type)
    permits.check_names(permit)
    click.echo(permits.issue(permit, valid_for=timedelta(minutes=minutes)))


@command.command("read")
@click.argument("token")
def read(token: str) -> None:
    """Say whom a permit is for, or why it is none."""
    click.echo(orjson.dumps(vars(permits.read(token))).decode())
