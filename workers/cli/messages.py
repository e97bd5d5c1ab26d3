"""`wedops messages`: send an urgent message, and see who has it."""

from typing import Any

import click
import orjson

from workers.cli.parameters import Words, operator
from workers.delivery.rules import MsgType, State, Status
from workers.delivery.usecases import reading, sending
from workers.delivery.usecases.reading import Shown
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.foundation.moments import MachineMoment, Moment

#: Of those who have it, and of those who have not.
_GOT = (State.DELIVERED, State.DISPLAYED, State.ACKNOWLEDGED)


@click.group("messages")
def command() -> None:
    """Send an urgent message to the people of a wedding, and see who has it."""


@command.command("send")
@click.argument("wedding_id", type=Words())
@click.argument("headline")
@click.option("--body", default="", help="What else there is to say.")
@click.option("--type", "supplier_types", multiple=True, help="Of the suppliers only those of this type.")
@click.option("--supplier", "supplier_ids", multiple=True, help="Of the suppliers only this one, by id.")
@click.option("--suppliers-only", is_flag=True, help="Neither planner nor couple.")
@click.option("--guests", is_flag=True, help="Also the guests who are online.")
@click.option("--moment", default="", help="The moment of the timeline that changes, such as ceremony …")
@click.option(
    "--at", "moment_at", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="… and when it is now, local."
)
@click.option("--exercise", is_flag=True, help="Reaches everybody the same way, and says that it is none.")
@click.option("--updates", multiple=True, help="The message that this one takes the place of.")
@click.option("--cancels", multiple=True, help="The message that this one cancels.")
@click.option("--key", help="The same key sends it once.")
def send(wedding_id: str, headline: str, key: str | None, **given: Any) -> None:
    """Send an urgent message: to the suppliers on duty, the planner and the couple, unless told otherwise."""
    fields = {"wedding_id": wedding_id, "headline": headline, "request_key": key, **_fields(given)}
    message = sending.send(fields, sender=operator(), now=clock.now(), machine=clock.machine_now())
    click.echo(f"message {message.identifier} is on its way; wedops messages show {message.identifier}")


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    narrowed = bool(given["supplier_types"] or given["supplier_ids"])
    leads = not given["suppliers_only"] and not narrowed
    references, kind = (*given["updates"], *given["cancels"]), MsgType.ALERT
    if references:
        kind = MsgType.CANCEL if given["cancels"] else MsgType.UPDATE
    return {
        "body": given["body"],
        "audience": {
            "supplier_types": given["supplier_types"],
            "supplier_ids": given["supplier_ids"],
            "planner": leads,
            "couple": leads,
            "guests": given["guests"],
        },
        "moment": given["moment"],
        "moment_at": given["moment_at"],
        "status": Status.EXERCISE if given["exercise"] else Status.ACTUAL,
        "msg_type": kind,
        "references": references,
    }


@command.command("list")
@click.argument("wedding_id", type=Words())
def listing(wedding_id: str) -> None:
    """List the newest messages of a wedding, with how many have them."""
    for message, counts in reading.of_wedding(wedding_id):
        states = ", ".join(f"{many} {state}" for state, many in counts.items())
        kind = message.status if message.msg_type == MsgType.ALERT else f"{message.status} {message.msg_type}"
        line = (
            f"{message.sent_at:%Y-%m-%d %H:%M:%S}Z  {message.identifier}  {kind}: {message.body['headline']}"
        )
        click.echo(printable(f"{line}  ({states})"))


@command.command("show")
@click.argument("identifier")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(identifier: str, as_json: bool) -> None:
    """Say who has a message and who has not, since when, and by which channel. Of an exercise, a report."""
    found = reading.show(identifier)
    if as_json:
        body = {"schema": "wedops.message/1", **vars(found)}
        click.echo(orjson.dumps(body, default=vars).decode())
        return
    message = found.message
    click.echo(printable(f"{message.status} {message.msg_type} of {message.sender} to {message.wedding_id}"))
    click.echo(printable(f"{message.body['headline']}"))
    for line in _details(found):
        click.echo(printable(line))
    click.echo(f"sent {message.sent_at:%H:%M:%S}Z, holds until {message.expires_at:%Y-%m-%d %H:%M}Z")
    for line in _lines(found):
        click.echo(printable(line))


def _details(found: Shown) -> list[str]:
    """Return what else a message says, and what took its place."""
    body, newest = found.message.body, found.newest
    moment = f"{body['moment']} at {body['moment_at'] or ''}".rstrip(" at") if body["moment"] else ""
    about = f"in the place of {', '.join(body['references'])}" if body["references"] else ""
    word = "cancelled" if newest.msg_type == MsgType.CANCEL else "superseded"
    by = newest.identifier != found.message.identifier
    return [
        one for one in (body["body"], moment, about, f"{word} by {newest.identifier}" if by else "") if one
    ]


def _lines(found: Shown) -> list[str]:
    rows = sorted(found.recipients, key=lambda one: (one.state in _GOT, one.recipient))
    width = max((len(one.recipient) for one in rows), default=0)
    sent = found.message.sent_at
    return [f"{one.recipient:{width}}  {_state(one, sent)}{_contacts(found, one.recipient)}" for one in rows]


def _state(one: Any, sent: Moment) -> str:
    at: MachineMoment | None = getattr(one, f"{one.state}_at", None) or one.settled_at
    since = clock.of_the_world(at) if at else sent
    by = f" by {one.channel}" if one.channel else ""
    took = "" if one.seconds is None else f"; it arrived after {max(0.0, one.seconds):.2f} s"
    return f"{one.state} since {since:%H:%M:%S}Z{by}{took}"


def _contacts(found: Shown, who: str) -> str:
    others = found.contacts.get(who, [])
    return "".join(f"; {one.channel} {one.state}" for one in others)
