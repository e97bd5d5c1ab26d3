"""`wedops grants`."""

import click

from workers.access.usecases import grants


@click.command("grants")
@click.option("--apply", "applies", is_flag=True, help="Make it so, with the secrets of ROLES_….")
def command(applies: bool) -> None:
    """Who may do what on Valkey and in PostgreSQL: print it, or apply it as the owner. Safe to repeat.

    ROLES_WORKER=name:secret gives a role its login, ROLES_WORKER=new:secret,old:secret two while it rotates.
    """
    if not applies:
        for server, lines in grants.printed():
            click.echo(f"-- {server}")
            for line in lines:
                click.echo(f"{line};" if server == "PostgreSQL" else line)
        return
    for problem in grants.apply(grants.logins()):
        click.echo(f"note: {problem}")
    click.echo("granted: each role has what it needs, and nothing else")
