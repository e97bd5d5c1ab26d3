"""`wedops emergency`: open one, run it step by step, close it."""

from pathlib import Path
from time import sleep
from typing import Any

import click
import orjson

from workers import client
from workers.cli import documents
from workers.cli.parameters import Words, operator
from workers.emergencies import rules
from workers.emergencies.rules import EmergencyKind, StepState
from workers.emergencies.usecases import loading, reading, running
from workers.foundation import clock
from workers.foundation.errors import ExpectedError, printable

#: Seconds in which an emergency has long begun when all is well.
WAIT = 1.0
#: What can be done with a step, and the state that it brings about.
STEPS = {
    "start": StepState.STARTED,
    "complete": StepState.COMPLETED,
    "skip": StepState.SKIPPED,
    "reassign": None,
}
ID = click.IntRange(1, 2**63 - 1)


class ProtocolsInvalid(ExpectedError):
    """{path}: {problems}"""


@click.group("emergency")
def command() -> None:
    """Open an emergency of a wedding, run its protocol step by step, close it."""


@command.command("open")
@click.argument("kind", type=click.Choice([str(kind) for kind in EmergencyKind]))
@click.argument("wedding_id", type=Words())
@click.option("--key", help="The same key does it once.")
def open_(kind: str, wedding_id: str, key: str | None) -> None:
    """Open an emergency of a wedding; one of this kind that is open there is joined."""
    follow(client.open_emergency(kind, wedding_id, request_key=key, caller=operator()))


def follow(request: client.Request) -> None:
    """Say what became of a request within a moment; it is kept in any case."""
    until = clock.stopwatch() + WAIT
    while request.state == "accepted" and clock.stopwatch() < until:
        sleep(0.05)
        request = client.find(request.key) or request
    about = f"{request.task} {request.message['wedding_id']}, key {request.key}"
    click.echo(f"{request.effect or request.state}: {about}")
    if request.state == "refused":
        click.echo(f"refused: {request.reason}", err=True)
        raise SystemExit(1)
    if request.state == "accepted":
        waits = "it has a row and will be done; no worker took it yet (`wedops status` says why)"
        click.echo(waits, err=True)


@command.command("list")
@click.option("--wedding", "wedding_id", default="", help="Of this wedding alone.")
def listing(wedding_id: str) -> None:
    """List the newest emergencies, with how many of their steps are settled."""
    for one, steps in reading.listed(wedding_id):
        settled = sum(step.state in rules.SETTLED for step in steps)
        since = f"{one.opened_at:%Y-%m-%d %H:%M}Z"
        how_far = f"{settled} of {len(steps)} steps settled"
        click.echo(f"{one.id}  {one.kind}  {one.wedding_id}  {one.state}  {since}  {how_far}")


@command.command("show")
@click.argument("emergency_id", type=ID)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(emergency_id: int, as_json: bool) -> None:
    """Say how far each step of an emergency is, by when it must be done, and what happened so far."""
    found = reading.show(emergency_id)
    if as_json:
        body = {"schema": "wedops.emergency/1", **vars(found)}
        click.echo(orjson.dumps(body, default=lambda one: one.model_dump(mode="json")).decode())
        return
    one = found.emergency
    click.echo(printable(f"{one.kind} emergency {one.id} at {one.wedding_id}: {one.state}"))
    click.echo(printable(f"opened {one.opened_at:%Y-%m-%d %H:%M:%S}Z by {found.opened_by or 'a message'}"))
    for step in found.steps:
        click.echo(printable(_step(step, ended=one.state != "open")))
    for change in found.changes[1:]:
        step_ = f" step {change.step}" if change.step else ""
        reason = f": {change.reason}" if change.reason else ""
        click.echo(printable(f"  {change.at:%H:%M:%S}Z{step_} {change.what} by {change.by}{reason}"))


def _step(step: Any, *, ended: bool) -> str:
    late = ", OVERDUE" if step.escalated and step.state not in rules.SETTLED else ""
    late = ", left open" if ended and step.state not in rules.SETTLED else late
    needed = "" if step.mandatory else ", may be left"
    return (
        f"{step.number}. {step.what} ({step.owner}, by {step.due_at:%H:%M:%S}Z{needed}): {step.state}{late}"
    )


@command.command("step")
@click.argument("emergency_id", type=ID)
@click.argument("number", type=click.IntRange(1, 1_000))
@click.argument("what", type=click.Choice(list(STEPS)))
@click.option("--reason", default="", help="Needed to skip a step; what was done, for the others.")
@click.option("--to", "owner", type=Words(), help="Whose it is now: a role, or a name that contacts have.")
def step(emergency_id: int, number: int, what: str, reason: str, owner: str | None) -> None:
    """Start, complete or skip a step, or give it to somebody else."""
    state, now = STEPS[what], clock.now()
    if state is None:
        if not owner:
            raise click.UsageError("say to whom, with --to")
        running.reassign(emergency_id, number, owner, by=operator(), now=now)
        click.echo(f"step {number} is {owner}'s")
        return
    running.change_step(emergency_id, number, state, by=operator(), reason=reason, now=now)
    click.echo(f"step {number} is {state}")


@command.command("close")
@click.argument("emergency_ids", type=ID, nargs=-1)
@click.option("--wedding", "wedding_id", default="", help="All of this wedding.")
@click.option("--reason", default="", help="Why it ends although steps are open.")
def close(emergency_ids: tuple[int, ...], wedding_id: str, reason: str) -> None:
    """Close emergencies by their ids, or all of a wedding, once each mandatory step is settled."""
    if bool(emergency_ids) == bool(wedding_id):
        raise click.UsageError("name ids, or a wedding with --wedding")
    closed = running.close(
        emergency_ids, wedding_id=wedding_id, by=operator(), reason=reason, now=clock.now()
    )
    for emergency_id in closed:
        click.echo(f"emergency {emergency_id} closed")


@command.group("protocols")
def protocols() -> None:
    """See what is done about each kind of emergency, and by whom; load other protocols."""


@protocols.command("show")
def protocols_show() -> None:
    """List the protocols that hold, those that were loaded first."""
    loaded = loading.current()
    if loaded.at:
        who = f"{loaded.requested_by}, {loaded.at:%Y-%m-%d %H:%M}Z: {loaded.reason}"
        click.echo(printable(f"version {loaded.version}, loaded by {who}"))
    for one in loaded.protocols:
        _print_protocol(f"{_name(one)} (version {loaded.version})", one.step)
    for kind, steps in rules.DEFAULT.items():
        _print_protocol(f"{kind} (default)", steps)


def _name(one: rules.Protocol) -> str:
    return " ".join(
        filter(None, (one.kind, one.region and f"in {one.region}", one.planner and f"of {one.planner}"))
    )


def _print_protocol(name: str, steps: tuple[rules.Step, ...]) -> None:
    click.echo(name)
    for number, one in enumerate(steps, start=1):
        after = f", after {', '.join(map(str, one.after))}" if one.after else ""
        itself = ", by itself" if one.action else ""
        whose = f"{one.owner}, {one.within_minutes:g} min{after}{itself}"
        click.echo(printable(f"  {number}. {one.what} ({whose})"))


@protocols.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", type=Words(), required=True, help="Why, for those who come after.")
def load(file: Path, reason: str) -> None:
    """Have other protocols hold for what is opened from now on: TOML, see docs/guides/emergencies.md."""
    document = documents.toml(file, rules.read, ProtocolsInvalid)
    version = loading.load(document, by=operator(), reason=reason, now=clock.now())
    names = ", ".join(_name(one) for one in document.protocol)
    click.echo(f"version {version} holds now: {names}; all other emergencies have the default")
