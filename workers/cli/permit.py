"""`wedops permit`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click
import orjson

from workers.cli.parameters import operator
from workers.connections.formats import permits
from workers.connections.rules.admission import UserType
from workers.connections.rules.revocations import Whose
from workers.connections.usecases import permits as usecases
from workers.foundation import clock
from workers.foundation.errors import printable


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
    permit = usecases.read(token)
    until = datetime.fromtimestamp(permit.expires_at, UTC).isoformat()
    click.echo(orjson.dumps(permit.who() | {"key": permit.key, "expires_at": until}).decode())


def _whose(command: Callable[..., None]) -> Callable[..., None]:
    for name in ("key", "wedding", "user"):
        command = click.option(f"--{name}", help=f"Of this {name}.")(command)
    return command


def _one(user: str | None, wedding: str | None, key: str | None) -> tuple[Whose, str]:
    given = [(Whose(name), id) for name, id in (("user", user), ("wedding", wedding), ("key", key)) if id]
    if len(given) != 1:
        raise click.UsageError("name one of --user, --wedding, --key")
    return given[0]


@command.command("revoke")
@_whose
@click.option("--reason", required=True, help="Why; it is written down.")
@click.option("--by", default=operator, show_default="your login", help="Who says so.")
def revoke(user: str | None, wedding: str | None, key: str | None, reason: str, by: str) -> None:
    """Take back all permits of a user, a wedding or a key that were issued until now.

    Their connections are closed within a second. A key that leaked is also to be taken out of
    CONNECTIONS_PERMIT_KEYS.
    """
    whose, id = _one(user, wedding, key)
    now, machine = clock.now(), clock.machine_now()
    one = usecases.revoke(whose, id, by=by, reason=reason, now=now, machine=machine)
    until = datetime.fromtimestamp(one.until, UTC)
    click.echo(f"permits of {whose} {printable(id)} are revoked, until {until:%Y-%m-%d %H:%M:%S}Z")


@command.command("lift")
@_whose
@click.option("--by", default=operator, show_default="your login", help="Who says so.")
def lift(user: str | None, wedding: str | None, key: str | None, by: str) -> None:
    """Let permits be good again that were revoked."""
    whose, id = _one(user, wedding, key)
    usecases.lift(whose, id, by=by, now=clock.now())
    click.echo(f"permits of {whose} {printable(id)} are good again")


@command.command("revoked")
def revoked() -> None:
    """List what is revoked."""
    for one in sorted(usecases.revoked(), key=lambda one: one.until):
        before, until = (datetime.fromtimestamp(at, UTC) for at in (one.before, one.until))
        issued = "whenever issued" if one.whose is Whose.KEY else f"issued until {before:%Y-%m-%d %H:%M:%S}Z"
        click.echo(f"{one.whose} {printable(one.id)}: {issued}, kept until {until:%Y-%m-%d %H:%M:%S}Z")
