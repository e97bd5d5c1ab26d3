"""`wedops weddings weather`."""

from zoneinfo import ZoneInfo

import click
import orjson

from workers.cli.parameters import Words, operator
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.wedding_day.usecases import weather
from workers.wedding_day.usecases.weather import View

NONE = "no wedding in the open air is near whose place is known"


@click.command("weather")
@click.argument("wedding_id", type=Words(), required=False)
@click.option("--send", is_flag=True, help="Send everybody the message that plan B is in force, once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(wedding_id: str | None, send: bool, as_json: bool) -> None:
    """Say what the weather may do to weddings in the open air in the next three days.

    Of one WEDDING_ID also the message that plan B is in force, as it is prepared.
    """
    if wedding_id is None and send:
        raise click.UsageError("--send goes with a WEDDING_ID")
    found, message = _asked(wedding_id)
    if as_json:
        plain = {"schema": "wedops.weather/1", "weddings": [_plain(one) for one in found], "plan_b": message}
        click.echo(orjson.dumps(plain).decode())
    else:
        for line in _lines(found, message):
            click.echo(printable(line))
    if wedding_id and send:
        now, machine = clock.now(), clock.machine_now()
        sent = weather.send_plan_b(wedding_id, by=operator(), now=now, machine=machine)
        click.echo(f"message {sent.identifier} is on its way", err=as_json)


def _asked(wedding_id: str | None) -> tuple[list[View], tuple[str, str] | None]:
    if wedding_id is None:
        return weather.ahead(now=clock.now()), None
    view, message = weather.show(wedding_id)
    return [view], message


def _lines(found: list[View], message: tuple[str, str] | None) -> list[str]:
    lines = [_line(one) for one in found] or [NONE]
    return lines + ([f"prepared: {message[0]}. {message[1]}"] if message else [])


def _plain(one: View) -> dict[str, object]:
    known = one.known
    return {
        "wedding_id": one.wedding.id,
        "starts_at": one.wedding.starts_at,
        "risky": one.is_risky,
        "risk": known.outlook.risk if known else None,
        "because": known.outlook.because if known else None,
        "at": known.at if known else None,
    }


def _line(one: View) -> str:
    known, start = one.known, f"{one.wedding.starts_local:%a %Y-%m-%d %H:%M}"
    if known is None:
        return f"{one.wedding.id}  {start}  {one.wedding.venue_type}  not known: {one.why}"
    at = f"{known.at.astimezone(ZoneInfo(one.wedding.zone)):%a %H:%M}"
    why = ", ".join(known.outlook.because) or "nothing"
    risk = f"risk {known.outlook.risk:.0%}: {why} (as of {at})"
    return f"{one.wedding.id}  {start}  {one.wedding.venue_type}  {risk}"
