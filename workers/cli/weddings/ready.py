"""`wedops weddings ready`."""

from dataclasses import asdict
from datetime import timedelta

import click
import orjson

from workers.cli.parameters import Words
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.foundation.moments import Moment
from workers.wedding_day.rules.readiness import Check, State
from workers.wedding_day.usecases import readiness
from workers.wedding_day.usecases.readiness import Ready

#: What a command exits with when a wedding is not ready.
NOT_READY = 3
MARKS = {State.GO: "go", State.NO_GO: "NO GO", State.NOT_DUE: "not due"}


@click.command("ready")
@click.argument("wedding_id", type=Words(), required=False)
@click.option("--days", type=click.IntRange(1, 60), default=7, show_default=True, help="How far to look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(wedding_id: str | None, days: int, as_json: bool) -> None:
    """Say which weddings are ready, and of those that are not, what is red and who has to see to it.

    Of one WEDDING_ID the whole list. Exit code 3 when one is not ready.
    """
    now = clock.now()
    found = (
        [readiness.of(wedding_id, now=now)]
        if wedding_id
        else readiness.upcoming(timedelta(days=days), now=now)
    )
    if as_json:
        click.echo(
            orjson.dumps({"schema": "wedops.ready/1", "weddings": [_plain(one) for one in found]}).decode()
        )
    else:
        for line in _lines(found, now, whole=wedding_id is not None):
            click.echo(printable(line))
    if not all(one.is_ready for one in found):
        raise SystemExit(NOT_READY)


def _plain(one: Ready) -> dict[str, object]:
    checks = [asdict(each) for each in one.checks]
    return {"wedding_id": one.wedding.id, "ready": one.is_ready, "checks": checks}


def _lines(found: list[Ready], now: Moment, *, whole: bool) -> list[str]:
    if not found:
        return ["no wedding runs or begins then"]
    lines = []
    for one in found:
        when = f"{one.wedding.starts_local:%a %Y-%m-%d %H:%M}  {one.wedding.zone}"
        lines.append(f"{one.wedding.id}  {when}  {'go' if one.is_ready else 'NO GO'}")
        lines += [_line(each, now) for each in one.checks if whole or each.state is State.NO_GO]
    return lines


def _line(one: Check, now: Moment) -> str:
    age = f", {_age(now - one.at)} ago" if one.at else ""
    owner = f"  ({one.owner})" if one.state is State.NO_GO else ""
    return f"  {one.item:<10}{MARKS[one.state]:<8} {one.evidence}{age}{owner}"


def _age(passed: timedelta) -> str:
    hours = max(0.0, passed.total_seconds() / 3600)
    return (
        f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    )
