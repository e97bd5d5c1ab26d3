"""`wedops gate`: may something be changed now?"""

from datetime import timedelta

import click
import orjson

from workers.cli.parameters import Duration, Name, Words, operator
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.weddings.formats import gate as formats
from workers.weddings.rules.gate import Change, Verdict
from workers.weddings.usecases import gate

#: What a command exits with while the gate is closed: `EX_TEMPFAIL` of sysexits.h, try again later.
CLOSED = 75
#: So long a reason may be.
LONGEST = 500


@click.command("gate")
@click.argument("change", type=click.Choice([str(one) for one in Change]))
@click.option("--region", type=Name(), default=None, help="In this region alone; else in all.")
@click.option(
    "--minutes", type=click.IntRange(1, 10_080), default=30, show_default=True, help="How long it takes."
)
@click.option("--override", "lasts", type=Duration(), help="Open it for so long, with a --reason.")
@click.option("--reason", type=Words(), help="Why it must be though weddings are near.")
@click.option("--by", type=Name(), default=operator, help="Who says so.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    change: str,
    region: str | None,
    minutes: int,
    lasts: timedelta | None,
    reason: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Say whether programs (deploy), settings or tables (migration) may be changed now, or why not, and when.

    Exit code 0 when it is open, 75 while it is closed.
    """
    found = _asked(Change(change), region or "", timedelta(minutes=minutes), lasts, reason, by)
    if as_json:
        click.echo(orjson.dumps(formats.plain(found, region or "")).decode())
    else:
        for line in formats.lines(found, region or ""):
            click.echo(printable(line))
    if not found.is_open:
        raise SystemExit(CLOSED)


def _asked(
    change: Change, region: str, takes: timedelta, lasts: timedelta | None, reason: str | None, by: str
) -> Verdict:
    now = clock.now()
    if lasts is None:
        if reason:
            raise click.UsageError("--reason goes with --override")
        return gate.verdict(change, region, now=now, lasts=takes)
    if not reason or len(reason) > LONGEST:
        raise click.UsageError(f"--override needs a --reason, {LONGEST} characters at most: it is kept")
    return gate.override(change, region, lasts, takes=takes, by=by, reason=reason, now=now)
