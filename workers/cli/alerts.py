"""`wedops alerts`: what is wrong, who is notified, and what people do about it; all kept."""

from copy import copy
from dataclasses import asdict
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import orjson

from workers.alerts.rules import escalation as rules
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import AlertView, State
from workers.alerts.rules.muting import Weekly
from workers.alerts.usecases import operators, surroundings
from workers.cli import documents
from workers.cli.parameters import Duration, Words, operator
from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.outbox.rules import State as Sending
from workers.outbox.rules import Status
from workers.weddings.rules.calendar import Phase

ID = click.IntRange(1, 2**63 - 1)
NOTE = click.option("--note", default="", help="What to remember with it.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class EscalationInvalid(ExpectedError):
    """{path}: {problems}"""


@click.group("alerts")
def command() -> None:
    """See what is wrong; take it, put it off, reassign it, silence it; say who is notified."""


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Those that are over as well.")
@JSON
def listing(ended: bool, as_json: bool) -> None:
    """List alerts: those that hurt most people in the worst phase first."""
    with database.transaction() as db:
        found = operators.listing(db, ended=ended)
    if as_json:
        click.echo(
            orjson.dumps({"schema": "wedops.alerts/2", "alerts": [asdict(one) for one in found]}).decode()
        )
        return
    for one in found:
        click.echo(f"{one.id:>5}  {one.line}{_aside(one)}")
    if not found:
        click.echo("no alert is active")


def _aside(alert: AlertView) -> str:
    notes = [f"rank {alert.rank:,.0f}"] if alert.connected_users else []
    notes += [f"taken by {alert.assigned_to}"] if alert.state is State.ACKNOWLEDGED else []
    notes += [f"snoozed until {alert.snoozed_until:%H:%M}Z"] if alert.snoozed_until else []
    notes += [alert.muted] if alert.muted else []
    notes += [f"flapped {alert.flaps} times"] if alert.flaps else []
    return f"  ({'; '.join(notes)})" if notes else ""


@command.command("show")
@click.argument("alert_id", type=ID)
def show(alert_id: int) -> None:
    """Show all that became of an alert, and who was notified."""
    with database.transaction() as db:
        found = operators.shown(db, alert_id)
    alert = found.alert
    click.echo(f"{alert.line}{_aside(alert)}\nsee {surroundings.runbook(alert.kind)}")
    for one in found.changes:
        by = f" by {one['by']}" if one["by"] else ""
        click.echo(
            f"{one['at']:%Y-%m-%d %H:%M:%S}Z  {one['severity']} {one['state']}: {one['reason']}{by}  "
            f"{one['note']}".rstrip()
        )
    for to in found.notified:
        click.echo(
            f"{to.recipient} by {to.channel}, step {to.step} (round.step of its path): {_became(to.status)}"
        )


def _became(status: Status) -> str:
    if status.state is Sending.SENT:
        # Sent by the machine's clock, and told by the world's, as all else here.
        return f"{clock.of_the_world(status.settled_at):%Y-%m-%d %H:%M:%S}Z" if status.settled_at else "sent"
    return f"not yet, {status.attempts} tries" if status.state is Sending.WAITING else str(status.state)


@command.command("ack")
@click.argument("alert_id", type=ID)
@NOTE
def acknowledge(alert_id: int, note: str) -> None:
    """Take an alert: nobody else is notified, unless it gets worse."""
    with database.transaction() as db:
        alert = operators.acknowledge(db, alert_id, by=operator(), note=note, now=clock.now())
    click.echo(f"yours: {alert.line}")


@command.command("snooze")
@click.argument("alert_id", type=ID)
@click.option(
    "--for",
    "lasts",
    type=Duration(),
    help="For how long; without, to the end of the phase its wedding is in.",
)
@NOTE
def snooze(alert_id: int, lasts: timedelta | None, note: str) -> None:
    """Put an alert off; then it begins from the first step."""
    now = clock.now()
    with database.transaction() as db:
        until = operators.snooze(
            db, alert_id, now + lasts if lasts else None, by=operator(), note=note, now=now
        )
    click.echo(f"alert {alert_id} says nothing until {until:%Y-%m-%d %H:%M}Z")


@command.command("reassign")
@click.argument("alert_id", type=ID)
@click.option("--to", required=True, type=Words(), help="Who takes it: a name that `wedops contacts` knows.")
@NOTE
def reassign(alert_id: int, to: str, note: str) -> None:
    """Give an alert to somebody else, who is notified at once."""
    with database.transaction() as db:
        operators.reassign(db, alert_id, to=to, by=operator(), note=note, now=clock.now())
    from workers.alerts.tasks import escalate  # noqa: PLC0415 - it takes half a second, and no other command of these needs it

    escalate.apply_async(retry=False)
    click.echo(f"{to} is notified of alert {alert_id}")


#: What it was called before.
_former = copy(reassign)
_former.hidden = True
command.add_command(_former, "hand-over")


@command.command("silence")
@click.option("--kind", default="*", help="Pattern; kinds are named as their pages in docs/runbooks.")
@click.option("--subject", default="*", help="Pattern: a region, a job, a node …")
@click.option("--region", default="*", help="Pattern.")
@click.option("--for", "lasts", type=Duration(), required=True, help="30m, 2h, 7d; at most 30d.")
@click.option(
    "--weekly", default="", help="Only in a window of the week: `sat,sun 02:00-04:00 America/New_York`."
)
@click.option(
    "--only",
    type=click.Choice(["no_wedding", *map(str, Phase)]),
    help="Only while no wedding runs, or in a phase.",
)
@click.option(
    "--up-to",
    default=str(Severity.HIGH),
    show_default=True,
    type=click.Choice([str(one) for one in Severity]),
    help="What is worse is published all the same.",
)
@click.option("--reason", required=True, type=Words(), help="Why; it is kept.")
def silence(lasts: timedelta, weekly: str, only: str | None, **facts: Any) -> None:
    """Have nobody notified of some alerts for a while; they are found and kept all the same."""
    if not any(fnmatchcase(kind, facts["kind"]) for kind in Kind):
        raise click.BadParameter(
            f"no kind of alert is called so; there are {', '.join(Kind)}", param_hint="--kind"
        )
    try:
        _ = weekly and Weekly.read(weekly)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--weekly") from None
    now = clock.now()
    with database.transaction() as db:
        number = operators.silence(db, lasts, by=operator(), now=now, weekly=weekly, only=only or "", **facts)
    click.echo(f"silence {number} until {now + lasts:%Y-%m-%d %H:%M}Z")


@command.command("silences")
@JSON
def active(as_json: bool) -> None:
    """List the silences that hold, or will."""
    with database.transaction() as db:
        found = operators.silenced(db, now=clock.now())
    if as_json:
        click.echo(
            orjson.dumps({"schema": "wedops.silences/2", "silences": [asdict(one) for one in found]}).decode()
        )
        return
    for one in found:
        when = " ".join(filter(None, [one.weekly, one.only]))
        what = f"{one.kind} {one.subject} {one.region} up to {one.up_to}"
        click.echo(
            f"{one.id:>5}  until {one.ends_at:%Y-%m-%d %H:%M}Z  {what}  {when}  {one.requested_by}: "
            f"{one.reason}"
        )


@command.command("unsilence")
@click.argument("silence_id", type=ID)
def unsilence(silence_id: int) -> None:
    """End a silence now."""
    with database.transaction() as db:
        operators.unsilence(db, silence_id, now=clock.now())
    click.echo(f"silence {silence_id} is ended")


@command.command("paths")
def paths() -> None:
    """Print the escalation paths that hold, as JSON; `load` takes the same in TOML."""
    with database.transaction() as db:
        document = operators.paths(db)
    click.echo(orjson.dumps(document.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())


@command.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", required=True, type=Words(), help="Why; it is kept.")
def load(file: Path, reason: str) -> None:
    """Have other escalation paths hold from now on: a TOML file, see docs/guides/alerts.md."""
    document = documents.toml(file, rules.read, EscalationInvalid)
    with database.transaction() as db:
        operators.load_paths(db, document, by=operator(), reason=reason, now=clock.now())
    click.echo(f"{len(document.path)} path(s) hold now")
