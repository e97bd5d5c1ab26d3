"""`wedops weddings show`."""

from typing import Any

import click
import orjson

from workers.cli.parameters import Words
from workers.cli.weddings.importing import plain
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.operations.wedding import View, view
from workers.weddings.rules.calendar import Wedding, supplier_type

#: Late with so much of a chance is more likely than not.
HALF = 0.5


@click.command("show")
@click.argument("wedding_id", type=Words())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(wedding_id: str, as_json: bool) -> None:
    """Show a wedding: its facts, how its day and its objectives go, what was made ready or done for it."""
    found = view(wedding_id, now=clock.now())
    one, phase = found.wedding, found.phase
    if as_json:
        facts = {"schema": "wedops.wedding/1", **vars(found)}
        click.echo(orjson.dumps(facts).decode())
        return
    click.echo(
        f"{one.id}  {one.starts_local:%a %Y-%m-%d %H:%M} – {one.ends_local:%H:%M} {one.zone}  {phase}  "
        f"{one.status}"
    )
    suppliers = (_supplier(one, supplier) for supplier in one.supplier_ids)
    click.echo(
        f"{one.guest_count} guests, {one.venue_type}, {one.region}, suppliers: {plain(tuple(suppliers))}"
    )
    for row in found.course[:1]:
        click.echo(printable(_course(row)))
    _show_trouble(found)
    for row in found.objectives:
        left = f"{row['budget_left']:.0%} of its budget left"
        click.echo(f"  {row['objective']:<20}{row['bad']} bad of {row['total']}, {left}")
    for row in found.results:
        click.echo(f"  {row['at']:%Y-%m-%d %H:%M}Z  {row['kind']}: {_result(row)}")


def _result(row: dict[str, Any]) -> str:
    """Return what a step did: to what it was for, else how many entries it loaded."""
    if row["operation"] is None:
        return f"{row['actions']} entries"
    numbers = " → ".join(f"{value:.3g}" for value in (row["before"], row["after"]) if value is not None)
    return f"{row['operation']}: {numbers}"


def _course(row: dict[str, Any]) -> str:
    late = [id for id, (_, _, share) in row["moments"].items() if share >= HALF]
    parts = [f"{row['in_time']} of {row['due']} moments began in time ({row['reported']} reported)"]
    parts.append(f"{row['arrived']} of {row['suppliers']} suppliers have arrived")
    if row["guest_connections"]:
        parts.append(f"{row['guest_connections']} connections of {row['guests']} guests")
    if row["asked"]:
        within = row["acknowledged_within"]
        fast = "" if within is None else f", half of these within {within:.0f} s"
        parts.append(f"{row['acknowledged']} of {row['asked']} acknowledged urgent messages{fast}")
    parts += [f"{row['bottleneck']} holds up others"] if row["bottleneck"] else []
    parts += [f"probably late: {', '.join(late)}"] if late else []
    return f"  {row['at']:%Y-%m-%d %H:%M}Z  {'; '.join(parts)}"


def _show_trouble(found: View) -> None:
    for emergency in found.emergencies:
        since = f"{emergency['opened_at']:%Y-%m-%d %H:%M}Z"
        click.echo(f"  {since}  {emergency['kind']} emergency {emergency['id']}: {emergency['state']}")
    for message in found.messages:
        states = ", ".join(f"{many} {state}" for state, many in message["states"].items())
        what = f"message {message['identifier']}: {message['headline']} ({states})"
        click.echo(printable(f"  {message['sent'][:16].replace('T', ' ')}Z  {what}"))


def _supplier(wedding: Wedding, supplier_id: str) -> str:
    kind = supplier_type(wedding, supplier_id)
    return f"{kind}:{supplier_id}" if kind else supplier_id
