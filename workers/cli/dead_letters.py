"""`wedops dead-letters`: what came in and could not be taken, and why."""

import click
import orjson

from workers.foundation import dead_letters
from workers.foundation.errors import printable


@click.group("dead-letters", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List messages that were refused, the newest first: when, which queue, why."""
    if context.invoked_subcommand:
        return
    found = dead_letters.newest()
    if as_json:
        rows = [{**vars(one), "task": one.task, "message": None, "kept": bool(one.message)} for one in found]
        click.echo(orjson.dumps({"schema": "wedops.dead_letters/1", "letters": rows}).decode())
        return
    for one in found:
        kept = "" if one.message else "  (not kept)"
        task = f"  {printable(one.task)}" if one.task else ""
        click.echo(f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}Z  {one.queue}{task}  {printable(one.reason)}{kept}")
    if not found:
        click.echo("no message was refused")


@command.command("replay")
@click.argument("letter_id")
def replay(letter_id: str) -> None:
    """Send a message again, once what it was refused for is mended."""
    letter = dead_letters.replay(letter_id)
    click.echo(f"sent again to {letter.queue}: it was refused because {printable(letter.reason)}")
