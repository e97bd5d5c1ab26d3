"""`wedops forget`."""

import click

from workers.access.usecases import forgetting
from workers.cli.parameters import Name, operator
from workers.foundation import clock


@click.command("forget")
@click.option("--wedding", "wedding_id", default="", help="A wedding that is over or cancelled.")
@click.option("--person", "user_id", default="", help="A person, by their user id.")
@click.option("--by", type=Name(), default=operator, help="Who says so.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(wedding_id: str, user_id: str, by: str, yes: bool) -> None:
    """Delete what is kept of a wedding or a person, end their permits, and say what is kept and why.

    Backups and the logs of servers are yours to clear; aggregates name nobody.
    """
    if bool(wedding_id) == bool(user_id):
        raise click.UsageError("name one of --wedding, --person")
    if not yes:
        click.confirm(f"delete all that is kept of {wedding_id or user_id}, for good?", abort=True)
    now, machine = clock.now(), clock.machine_now()
    if wedding_id:
        found = forgetting.forget_wedding(wedding_id, by=by, now=now, machine=machine)
    else:
        found = forgetting.forget_person(user_id, by=by, now=now, machine=machine)
    for table, rows in sorted(found.rows.items()):
        click.echo(f"{table}: {rows} deleted")
    for table, why in forgetting.KEPT.items():
        click.echo(f"{table}: kept, {why}")
