"""`wedops timeline`: all that happened and all that was done, in the order of time."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

import click
import orjson
from redis.exceptions import RedisError

from workers.alerts.store import history as alerts
from workers.cli.parameters import Duration
from workers.emergencies import store as emergencies
from workers.foundation import clock, database, journal
from workers.foundation.errors import printable
from workers.foundation.journal import Happening
from workers.notify import usecases as notify
from workers.responses import store as degradation
from workers.scaling.store import actions as scaling
from workers.weddings.store import weddings

#: Of each kind the newest so many are looked at: those of one wedding may be few among them.
LOOKED_AT = 5_000
#: Each table that knows when something happened.
TABLES: tuple[Callable[..., list[Happening]], ...] = (
    alerts.happened, degradation.happened, emergencies.happened, notify.happened, scaling.happened,
)  # fmt: skip


@click.command("timeline")
@click.option("--since", "lasts", type=Duration(), default="2h", show_default=True, help="From how long ago on.")
@click.option("--wedding", "wedding_id", default="", help="Only what was about this wedding, its region or everybody.")
@click.option("--most", type=click.IntRange(1, 5000), default=200, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(lasts: timedelta, wedding_id: str, most: int, as_json: bool) -> None:
    """List what happened and what was done about it: alerts, steps, scaling, emergencies, messages, restarts, modes."""
    moment = clock.now() - lasts
    found, missing = _gather(moment, wedding_id, most)
    if as_json:
        rows = [asdict(one) for one in found]
        click.echo(orjson.dumps({"schema": "wedops.timeline/1", "happened": rows, "missing": missing}).decode())
        return
    for one in found:
        by = f"  ({one.by})" if one.by else ""
        click.echo(f"{one.at:%Y-%m-%d %H:%M:%S}Z  {printable(one.what)}{by}")
    for what in missing:
        click.echo(f"not all: {what}", err=True)
    if not found and not missing:
        click.echo("nothing happened")


def _gather(moment: datetime, wedding_id: str, most: int) -> tuple[list[Happening], list[str]]:
    """Return what happened, and which part could not be asked: the other one is told all the same."""
    parts, missing = list[list[Happening]](), list[str]()
    try:
        with database.transaction() as db:
            region = weddings.require(db, wedding_id).region if wedding_id else ""
            parts = [happened(db, moment, most=LOOKED_AT) for happened in TABLES]
    except database.DatabaseUnavailable as error:
        region, missing = "", [str(error)]
    try:
        parts.append(journal.since(moment, most=LOOKED_AT))
    except RedisError as error:
        missing.append(f"Redis does not answer ({error}); restarts, circuits and modes are not shown")
    if any(len(part) >= LOOKED_AT for part in parts):
        missing.append(f"of one kind there are {LOOKED_AT} or more; what is older is left out: ask with a shorter --since")
    ours = (one for part in parts for one in part if not wedding_id or _is_about(one, wedding_id, region))
    return sorted(ours, key=lambda one: one.at)[-most:], missing


def _is_about(one: Happening, wedding_id: str, region: str) -> bool:
    if one.wedding_id:
        return one.wedding_id == wedding_id
    return one.region in ("", "everywhere", region)
