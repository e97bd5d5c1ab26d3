"""`wedops nodes`."""

from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Column, Table

from workers.balancing import usecases
from workers.foundation import clock, logs


@click.group("nodes", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show every realtime node that reported within the hour. `out` is one that fell silent."""
    if context.invoked_subcommand is None:
        _show(as_json)


@command.command("drain")
@click.argument("node")
@click.option(
    "--end",
    is_flag=True,
    help="End its connections too, all at once: those who ask `/v1/route` come back paced, on other nodes.",
)
def drain(node: str, end: bool) -> None:
    """Empty a node: its weddings go to others, and nobody is let in there until it is gone, or `undrain`."""
    logs.configure(40)
    if not any(other.usable and other.name != node for other in usecases.nodes()):
        click.confirm(
            f"{node} is the only node that takes people: with it drained nobody can connect. Drain it?",
            abort=True,
        )
    ended = usecases.drain(node, end=end, now=clock.now())
    click.echo(
        f"{node} is drained"
        + (f", {ended} connection(s) ended" if end else "; its people stay until they leave")
    )


@command.command("undrain")
@click.argument("node")
def undrain(node: str) -> None:
    """Send people to a node again."""
    usecases.undrain(node)
    click.echo(f"{node} takes people again")


@command.command("forget")
@click.argument("node")
def forget(node: str) -> None:
    """Forget a node that will not come back.

    Nobody is alarmed by it any more. One that reports is known again.
    """
    usecases.forget(node)
    click.echo(f"{node} is forgotten")


def _show(as_json: bool) -> None:
    weddings = usecases.weddings_by_node()
    rows = [_row(node, weddings[node.name]) for node in usecases.nodes()]
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.nodes/1", "nodes": rows}).decode())
        return
    if not rows:
        click.echo("no node has reported: gateways call wedops_report each second (docs/guides/gateway.md)")
        return
    table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(str, row.values()))
    console = Console()
    # A pipe or a file has no width of its own.
    (console if console.is_terminal else Console(width=140)).print(table)


def _row(node: Any, weddings: int) -> dict[str, Any]:
    state = "out" if node.out else "draining" if node.draining else "up"
    return {
        "name": node.name,
        "region": node.region,
        "state": state,
        "connections": node.connections,
        "capacity": node.capacity,
        "weddings": weddings,
        "cpu": round(node.cpu, 2),
        "memory": round(node.memory, 2),
        "silent_s": round(node.silent.total_seconds(), 1),
    }
