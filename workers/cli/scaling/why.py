"""`wedops scaling why`.

The facts of an action, what each asked for, what bound it, and what would have changed it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson

from workers.foundation import database
from workers.scaling.rules.decision import Reading
from workers.scaling.rules.policy import Policy
from workers.scaling.rules.why import Why
from workers.scaling.usecases.why import Account, account

QUANTILES = ("p10", "p50", "p90", "p99")


@click.command("why")
@click.argument("id", type=click.IntRange(1, 2**63 - 1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(id: int, as_json: bool) -> None:
    """Say why an action was taken.

    Its facts, what each asked for, what bound it, and what would have changed it.
    """
    with database.transaction() as db:
        found = account(db, id)
    if as_json:
        facts = {name: getattr(found, name) for name in ("action", "made_from", "orders", "why")}
        click.echo(orjson.dumps({"schema": "wedops.scaling_why/2"} | facts).decode())
        return
    one = found.action
    what = f"{one.resource} of {one.region} {one.before} → {one.to} ({one.reason})"
    problem = f": {one.problem}" if one.problem else ""
    click.echo(
        f"action {one.id}, {one.created_at:%Y-%m-%d %H:%M}Z: {what}, {one.purpose}, {one.state}{problem}"
    )
    for line in _lines(found):
        click.echo(f"  {line}")


def _lines(found: Account) -> Iterator[str]:
    """Yield what is printed of an action below its first line."""
    one = found.action
    for what, at in (("applied", one.applied_at), ("confirmed", one.confirmed_at)):
        if at:
            yield f"{what} {at:%Y-%m-%d %H:%M:%S}Z"
    if found.reading is None or found.policy is None or found.why is None:
        yield "an earlier version decided it and kept only: " + _listed(found.made_from)
        return
    decided = found.why.decision
    if one.before != found.reading.has or one.to not in (decided.to, decided.beyond):
        yield f"the rules of this version would decide {decided.to} ({decided.reason})"
    yield from _facts(found.reading, found.policy)
    yield from (*_bound(found.why), *_ordered(found), *_otherwise(found.why))


def _listed(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(figures.items())) or "nothing"


def _facts(reading: Reading, policy: Policy) -> list[str]:
    forecast = ", ".join(
        f"{name} {reading.quantiles[name]:,.0f}" for name in QUANTILES if name in reading.quantiles
    )
    unknown = [name for name in ("partly", "unlearned", "unasked") if getattr(reading, name)]
    lines = [
        f"load {_figure(reading.load)}, highest of the last half hour {_figure(reading.lately)}",
        f"expected {_figure(reading.expected)} (forecast {forecast or 'none'}; margin {reading.margin:.2f})",
        f"may climb to {_figure(reading.upper)} until what was ordered then serves",
        f"strain {reading.pressure:.2f} of its target",
        f"policy: {policy.utilisation:.0%} used is the aim, lead {policy.lead}, boot {policy.boot}",
        f"policy: cool-down {policy.shrink_after * 2 ** min(reading.undone, 5)}, peak season's floor "
        f"{reading.floor}",
        f"approved up to {reading.allowed or 'the cap'}{', whose time has ended' if reading.expired else ''}",
    ]
    if reading.frozen_until:
        lines.append(f"a wedding is near until {reading.frozen_until:%Y-%m-%d %H:%M}Z: nothing is taken away")
    if reading.changed_at:
        lines.append(f"changed last {reading.changed_at:%Y-%m-%d %H:%M}Z")
    return lines + ([f"not known: {', '.join(unknown)}"] if unknown else [])


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.0f}"


def _bound(why: Why) -> list[str]:
    asked = ", ".join(f"{one.to} ({one.reason})" for one in why.bids if one.to)
    lines = [
        f"asked for: {asked or 'nothing'}",
        f"bounds: {why.min} to {why.cap}, with approval {why.ceiling}",
    ]
    if why.decision.beyond:
        lines.append(f"{why.decision.beyond} were needed: more than the cap, so somebody was asked")
    return lines + ([f"kept from scaling in by: {', '.join(why.holds)}"] if why.holds else [])


def _ordered(found: Account) -> list[str]:
    return [f"ordered then: {one.kind} by {one.requested_by}: {one.reason}" for one in found.orders]


def _otherwise(why: Why) -> list[str]:
    return [f"if {one.if_}: {one.decision.to} ({one.decision.reason})" for one in why.otherwise]
