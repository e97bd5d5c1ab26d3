"""`wedops slo`: objectives, and how much of each error budget is left."""

import click
import orjson

from workers.foundation import clock
from workers.measurements.rules.objectives import OBJECTIVES
from workers.measurements.usecases.objectives import Budget, budgets


@click.command("slo")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show each objective: its budget of 30 days, by region, and how fast it burns now."""
    found = budgets(now=clock.machine_now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.slo/1", "objectives": found}).decode())
        return
    for one in found:
        click.echo(_line(one))
    silent = {one.name for one in OBJECTIVES} - {one.objective for one in found}
    if silent:
        click.echo(f"nothing was measured of: {', '.join(sorted(silent))}")


def _line(one: Budget) -> str:
    rate = "  ".join(f"{window} {value:.1f}×" for window, value in one.burn.items())
    left = (
        f"{one.budget_left:>8.1%} left"
        if one.budget_left >= 0
        else f"spent {1 - one.budget_left:,.0f} times over"
    )
    return (
        f"{one.objective:<20}{one.region or 'everywhere':<16}{left}  {one.bad} bad of {one.events}  burns "
        f"{rate}"
    )
