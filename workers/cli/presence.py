"""`wedops presence`."""

import click
import orjson

from workers.cli.parameters import Words
from workers.connections.usecases import users


@click.command("presence")
@click.argument("wedding_id", type=Words())
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, with everybody's id and user type."
)
def command(wedding_id: str, as_json: bool) -> None:
    """Say who of a wedding is online: open connections by user type."""
    found = users.presence(wedding_id)
    online, quality = found.online, found.quality
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "schema": "wedops.presence/2",
                    "wedding_id": wedding_id,
                    "quality": quality,
                    "suppliers": found.suppliers,
                    "connections": online.connections,
                    "users": online.users,
                    "complete": online.complete,
                }
            ).decode()
        )
        return
    click.echo(", ".join(f"{count} {kind}" for kind, count in online.connections.items()))
    if found.suppliers:
        suppliers = (f"{here} of {many} {kind}" for kind, (here, many) in found.suppliers.items())
        click.echo(f"suppliers: {', '.join(suppliers)}")
    measured = "not measured of late" if quality is None else f"{quality:.0f} of 100"
    click.echo(
        f"{len(online.users)}{'' if online.complete else ' or more'} people, quality of their connections "
        f"{measured}"
    )
