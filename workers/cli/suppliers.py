"""`wedops suppliers`."""

import click

from workers.connections.usecases import suppliers
from workers.foundation import clock


@click.group("suppliers")
def command() -> None:
    """Suppliers whose plan has a limit of its own on simultaneous connections."""


@command.command("limit")
@click.argument("supplier_id")
@click.argument("connections", type=click.IntRange(0))
def limit(supplier_id: str, connections: int) -> None:
    """Let a supplier have more connections at once than all have; 0: no more than all."""
    suppliers.limit_supplier(supplier_id, connections, now=clock.machine_now())
    click.echo(f"{supplier_id} may have {connections or suppliers.all_have()} connections at once")


@command.command("limits")
def limits() -> None:
    """Show who has a limit of its own."""
    found = suppliers.limits()
    for supplier, connections in found.items():
        click.echo(f"{supplier}  {connections}")
    click.echo(f"{'everybody else' if found else 'every supplier'} may have {suppliers.all_have()}")
