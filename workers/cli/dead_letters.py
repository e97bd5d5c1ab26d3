"""`wedops dead-letters`."""

import click
import orjson

from workers.foundation.errors import printable
from workers.operations import dead_letters
from workers.operations.dead_letters import Letter


@click.group("dead-letters", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List messages that were refused or could not be sent, the newest first: when, where, why."""
    if context.invoked_subcommand:
        return
    found, missing = dead_letters.letters()
    if as_json:
        click.echo(
            orjson.dumps({"schema": "wedops.dead_letters/1", "letters": found, "missing": missing}).decode()
        )
        return
    for one in found:
        click.echo(_line(one))
    for problem in missing:
        click.echo(f"not all: {problem}", err=True)
    if not found and not missing:
        click.echo("no message was refused")


def _line(one: Letter) -> str:
    wedding = f"wedding {one.wedding_id}" if one.wedding_id else ""
    parts = [
        one.id,
        f"{one.at:%Y-%m-%d %H:%M:%S}Z",
        one.queue,
        one.task,
        wedding,
        one.reason,
        "" if one.kept else "(not kept)",
    ]
    return "  ".join(printable(part) for part in parts if part)


@command.command("replay")
@click.argument("letter_id")
def replay(letter_id: str) -> None:
    """Send a message again, once what it was refused for is mended."""
    reason = dead_letters.replay(letter_id)
    click.echo("sent again" + (f": it was refused because {printable(reason)}" if reason else ""))
