"""`wedops slo`: what is promised, and how much of each error budget is left."""

from typing import Any

import click
import orjson

from workers.foundation import clock, database
from workers.measurements.rules.objectives import BY_NAME, MONTH, OBJECTIVES, budget_left
from workers.measurements.store import events


def _rows() -> list[dict[str, Any]]:
    now = clock.machine_now()
    with database.transaction() as db:
        month = events.month(db, now=now)
        rates = {
            window: {(one.objective, one.who): one.counts for one in events.of_regions(db, window, now=now)} for window in MONTH
        }
    rows = []
    for one in sorted(month, key=lambda one: (one.objective, one.who)):
        objective, burn = BY_NAME[one.objective], dict[str, float]()
        for window, counts in rates.items():
            known = counts.get((one.objective, one.who))
            share = known.bad_long / known.total_long if known and known.total_long else 0.0
            burn[f"{window.long.total_seconds() / 3600:g}h"] = share / (1 - objective.target)
        left = budget_left(objective, one.counts.total_long, one.counts.bad_long)
        seen = {"events": one.counts.total_long, "bad": one.counts.bad_long, "budget_left": left, "burn": burn}
        rows.append({"objective": one.objective, "region": one.who, "target": objective.target} | seen)
    return rows


@click.command("slo")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show each objective: its budget of 30 days, by region, and how fast it burns now."""
    rows = _rows()
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.slo/1", "objectives": rows}).decode())
        return
    for row in rows:
        rate = "  ".join(f"{window} {value:.1f}×" for window, value in row["burn"].items())
        name, budget = (
            f"{row['objective']:<20}{row['region'] or 'everywhere':<16}",
            f"{row['budget_left']:>8.1%} left"
            if row["budget_left"] >= 0
            else f"spent {1 - row['budget_left']:,.0f} times over",
        )
        click.echo(f"{name}{budget}  {row['bad']} bad of {row['events']}  burns {rate}")
    silent = {one.name for one in OBJECTIVES} - {row["objective"] for row in rows}
    if silent:
        click.echo(f"nothing was measured of: {', '.join(sorted(silent))}")
