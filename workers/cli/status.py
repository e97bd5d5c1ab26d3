"""`wedops status`: the verdict in one line, and what it rests on."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import orjson

from workers.foundation import clock
from workers.operations.status import gather
from workers.operations.verdict import DEGRADED, HEALTHY, Status

if TYPE_CHECKING:
    from rich.console import Console


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Say in one line whether all is well, then what is.

    Exit code: 0 healthy, 3 degraded, 4 critical, 69 unreachable.
    """
    status = gather(now=clock.now(), machine=clock.machine_now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.status/2", **asdict(status)}, default=str).decode())
    else:
        from rich.console import Console  # noqa: PLC0415 - not for --json

        console = Console()
        # A pipe or a file has no width of its own.
        _show(status, console if console.is_terminal else Console(width=140))
    sys.exit(status.code)


#: Columns that are shown of a region, and of a scaling action.
REGION = "region connections subscriptions opened swept silent p50_ms p95_ms at"
ACTION = "region resource before to reason purpose state created_at"


def _show(status: Status, console: "Console") -> None:
    colour = {HEALTHY: "green", DEGRADED: "yellow"}.get(status.code, "red")
    console.print(status.verdict, style=f"bold {colour}", markup=False)
    console.print(_headline(status), highlight=False)
    for title, rows, columns in (
        ("regions, when seen last", status.regions[:12], REGION),
        ("next weddings", status.next_weddings, "id phase starts_local zone guest_count"),
        ("alerts", status.alerts[:5], "severity state kind subject detail since"),
        ("scaling actions", status.actions[:5], ACTION),
        ("queues", status.queues, "name depth oldest"),
        ("jobs", status.jobs, "name ago in waited result runs failed late skipped"),
    ):
        _table(console, title, rows, *columns.split())


def _headline(status: Status) -> str:
    dead = status.dead_letters + status.given_up
    parts = [
        f"{status.now}{_whose_clock()}  {status.kind_of_day.replace('_', ' ')}",
        f"{status.connections} connections",
        f"{status.nodes} node(s)",
        f"peak of {status.peak} until {status.peak_until}" if status.peak else "",
        f"only watched: {', '.join(status.shadow)} (`wedops scaling live`)" if status.shadow else "",
        f"switched off: {', '.join(status.switched_off)}" if status.switched_off else "",
        f"{status.beats} beat(s)",
        f"{status.requests_waiting} request(s) waiting",
        f"{status.pending} alert(s) pending" if status.pending else "",
        f"{dead} message(s) refused or given up (`wedops dead-letters`)" if dead else "",
        ", ".join(f"{region} {season}" for region, season in list(status.seasons.items())[:6]),
    ]
    return "  ·  ".join(part for part in parts if part)


def _whose_clock() -> str:
    played = clock.world()
    return f" by the demo's clock, {played.speed:g} times as fast as ours" if played else ""


def _table(console: "Console", title: str, rows: list[dict[str, Any]], *columns: str) -> None:
    if not rows:
        return
    from rich.table import Column, Table  # noqa: PLC0415

    # What does not fit goes on below: no time may be cut off.
    table = Table(
        *(Column(name, overflow="fold") for name in columns),
        box=None,
        title=title,
        title_justify="left",
        title_style="bold",
        padding=(0, 2, 0, 0),
    )
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "–" if value is None else str(value).replace("+00:00", "Z")
