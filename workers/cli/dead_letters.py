"""`wedops dead-letters`: what came in and could not be taken, what could not be sent, and why."""

import re

import click
import orjson

from workers.foundation import database, dead_letters
from workers.foundation.dead_letters import Letter
from workers.foundation.errors import printable
from workers.outbox import usecases as outbox

_MOST = 50
#: How an entry of the outbox is named here.
_ENTRY = re.compile(r"outbox-([0-9]{1,18})")


@click.group("dead-letters", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List messages that were refused or could not be sent, the newest first: when, where, why."""
    if context.invoked_subcommand:
        return
    found, missing = _letters()
    if as_json:
        rows = [{**vars(one), "message": None, "task": task, "kept": kept} for one, task, kept in found]
        click.echo(orjson.dumps({"schema": "wedops.dead_letters/1", "letters": rows, "missing": missing}).decode())
        return
    for one, task, kept in found:
        what = f"  {printable(task)}" if task else ""
        click.echo(
            f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}Z  {one.queue}{what}  {printable(one.reason)}"
            + ("" if kept else "  (not kept)")
        )
    for problem in missing:
        click.echo(f"not all: {problem}", err=True)
    if not found and not missing:
        click.echo("no message was refused")


def _letters() -> tuple[list[tuple[Letter, str, bool]], list[str]]:
    """Return letters with what each is and whether it can be sent again; and which part could not be asked."""
    found, missing = [(one, one.task, bool(one.message)) for one in dead_letters.newest(_MOST)], []
    try:
        for one in outbox.dead(_MOST):
            found.append(
                (Letter(f"outbox-{one.id}", one.settled_at, "outbox", one.problem, b""), f"{one.kind} {one.key}", True)
            )
    except database.DatabaseUnavailable as error:
        missing.append(str(error))
    return sorted(found, key=lambda one: one[0].at, reverse=True)[:_MOST], missing


@command.command("replay")
@click.argument("letter_id")
def replay(letter_id: str) -> None:
    """Send a message again, once what it was refused for is mended."""
    if entry := _ENTRY.fullmatch(letter_id):
        outbox.replay(int(entry[1]))
        click.echo("it will be sent again at once")
        return
    letter = dead_letters.replay(letter_id)
    click.echo(f"sent again to {letter.queue}: it was refused because {printable(letter.reason)}")
