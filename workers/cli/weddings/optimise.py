"""`wedops weddings optimise`."""

from typing import Any

import click
import orjson

from workers.cli.parameters import Words
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.wedding_day.usecases import databases, optimising
from workers.wedding_day.usecases.optimising import Done

NOTHING_NEEDED = "nothing was needed: all is warm, suppliers have room, no read of the database was slow"


@click.command("optimise")
@click.argument("wedding_id", type=Words(), required=False)
@click.option("--undo", "undone", type=click.IntRange(1, 2**63 - 1), help="Undo the result of this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(wedding_id: str | None, undone: int | None, limit: int, as_json: bool) -> None:
    """Optimise for a wedding now, and say what came of each step; without WEDDING_ID list what was done.

    By itself it is done a week, a day and two hours before each wedding, and on critical trouble.
    """
    now, machine = clock.now(), clock.machine_now()
    if undone is not None:
        optimising.undo(undone, now=now, machine=machine)
    found = (
        optimising.by_hand(wedding_id, key=f"{machine.timestamp():.3f}", now=now, machine=machine)
        if wedding_id
        else optimising.history(limit=limit)
    )
    needs = databases.findings()
    if as_json:
        plain = {"schema": "wedops.optimise/1", "results": [_plain(one) for one in found], "findings": needs}
        click.echo(orjson.dumps(plain).decode())
        return
    nothing = NOTHING_NEEDED if wedding_id else "nothing was optimised yet"
    for line in [*map(_line, found), *needs] or [nothing]:
        click.echo(printable(line))


def _plain(one: Done) -> dict[str, Any]:
    return {**one.row, "effect": one.effect, "helped": one.helped}


def _line(one: Done) -> str:
    row: Any = one.row
    numbers = [f"{value:.4g}" for value in (row["before"], row["after"]) if value is not None]
    effect = "" if one.effect is None else f" ({one.effect:+.0%}{'' if one.helped else ', no help'})"
    undone = f", undone {row['undone_at']:%Y-%m-%d %H:%M}Z" if row["undone_at"] else ""
    step, more = row["kind"].removeprefix("optimise_"), row["detail"].get("propose", "")
    about = row["wedding_id"] or more
    what = f"{row['id']}  {row['at']:%Y-%m-%d %H:%M}Z  {step}  {row['operation']}"
    return f"{what}: {' → '.join(numbers)}{effect}{undone}  {about}".rstrip()
