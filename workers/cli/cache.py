"""`wedops cache`: how it is doing, what it has of an entry, peak mode."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import orjson

from workers.access.usecases import grants
from workers.caching.rules.kinds import Kind
from workers.caching.usecases import changing, peak, showing
from workers.caching.usecases.showing import Overview, Shown
from workers.cli.parameters import Duration, Name, operator
from workers.foundation import clock
from workers.foundation.errors import printable
from workers.seasons import usecases as seasons

MEGABYTE = 2**20
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("cache")
def command() -> None:
    """See how the cache is doing, what it has of an entry; begin peak mode; warm it for the season."""


@command.command("show")
@AS_JSON
def show(as_json: bool) -> None:
    """Say how much of what is read it has, what takes its room, and what warm-ups were worth."""
    showing.require_server()
    found = showing.overview(machine=clock.machine_now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.cache/1", **vars(found)}, default=vars).decode())
        return
    for line in [*_reads(found), *_server(found.findings), *_warm_ups(found), *_mode(found)]:
        click.echo(printable(line))


def _reads(found: Overview) -> list[str]:
    if found.hit_ratio is None:
        return ["nothing was read yet"]
    lines = [f"hits: {found.hit_ratio:.1%} of all reads"]
    for kind, counts in found.reads.items():
        reads = sum(counts.values())
        if reads:
            own = f"{counts['local'] / reads:.1%} in memory, {counts['server'] / reads:.1%} in the server"
            lines.append(f"  {kind:13} {reads:>9} reads: {own}, {counts['none'] / reads:.1%} loaded")
    return lines


def _server(findings: dict[str, Any]) -> list[str]:
    lines = []
    if known := findings.get("structure"):
        one = known["found"]
        limit = f" of {one['limit'] / MEGABYTE:.0f}" if one["limit"] else ""
        lines.append(
            f"server: {one['used'] / MEGABYTE:.1f}{limit} MB, {one['entries']} keys, "
            f"{one['evictions_per_s']:.1f} evictions and {one['operations_per_s']:.0f} commands a second"
        )
        lines += [
            f"  {kind:13} {held['entries']:>9} sampled, {held['bytes'] / 1000:.0f} kB"
            for kind, held in one["kinds"].items()
        ]
        lines += [f"  large: {name}" for name in one["big"]]
    if known := findings.get("compared"):
        one = known["found"]
        lines.append(f"compared with the source: {one['stale']} of {one['sampled']} were older")
    return lines


def _warm_ups(found: Overview) -> list[str]:
    lines = [f"warm-ups: {found.waiting} wait"]
    for row in found.warm_ups:
        detail = row["detail"]
        worth = f"precision {_share(detail['precision'])}, recall {_share(detail['recall'])}"
        lines.append(f"  {row['wedding_id']}  {row['actions']} entries, {detail['why']}: {worth}")
    return lines


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"


def _mode(found: Overview) -> list[str]:
    lines = [f"peak mode of {found.peak.by}, until {_at(found.peak.until)}"] if found.peak else []
    if found.hottest:
        lines.append("hottest: " + ", ".join(name for name, _ in found.hottest[:5]))
    return lines


def _at(epoch: float | None) -> str:
    return "never" if epoch is None else f"{datetime.fromtimestamp(epoch, UTC):%H:%M:%S}Z"


@command.command("key")
@click.argument("kind", type=click.Choice([str(kind) for kind in Kind]))
@click.argument("ids", nargs=-1, required=True)
@AS_JSON
def key(kind: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Say what the server has of an entry, since when, and from which revision.

    `wedding WEDDING`, `subscription WEDDING guest`, `subscription WEDDING vendor SUPPLIER`, `user SUPPLIER`,
    `connection WEDDING USER`.
    """
    showing.require_server()
    found = showing.show(kind, *ids, machine=clock.machine_now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.cache_entry/1", **vars(found)}).decode())
        return
    for line in _entry(found):
        click.echo(printable(line))


def _entry(found: Shown) -> list[str]:
    lines = [f"{found.name}: {found.state}"]
    if found.revision is not None:
        lines.append(
            f"made {_at(found.made)}, fresh until {_at(found.fresh_until)}, its load took {found.load_ms} ms"
        )
        lines.append(f"revision {found.revision}")
    if found.actual is not None:
        lines.append(f"the source has revision {found.actual}")
    if found.warmed_for:
        lines.append(f"a warm-up for {found.warmed_for} loaded it")
    if found.revision is not None:
        lines.append(orjson.dumps(found.value).decode())
    return lines


@command.command("optimize")
@click.option("--for", "lasts", type=Duration(), default="2h", show_default=True, help="For how long.")
@click.option("--end", is_flag=True, help="End peak mode now.")
@click.option("--by", type=Name(), default=operator, help="Who orders it.")
@AS_JSON
def optimize(lasts: timedelta, end: bool, by: str, as_json: bool) -> None:
    """Begin peak mode in all processes: more copies, compressed bodies, more connections, hot entries held.

    It ends by itself, and undoes what it did.
    """
    showing.require_server()
    if end:
        _end(as_json)
        return
    found = peak.optimise(lasts, by=by, now=clock.now())
    if as_json:
        click.echo(orjson.dumps({"schema": "wedops.cache_peak/1", **vars(found)}).decode())
        return
    click.echo(f"peak mode until {_at(found.until)}; `wedops cache optimize --end` ends it")
    for line in found.actions:
        click.echo(f"  {line}")
    click.echo(f"  before it: {_shares(found.before)}")
    for error in found.errors:
        click.echo(f"  failed: {error}", err=True)


def _end(as_json: bool) -> None:
    gained = peak.end(now=clock.now())
    if as_json:
        facts = {"schema": "wedops.cache_peak/1", "ended": gained is not None, "gained": gained or {}}
        click.echo(orjson.dumps(facts).decode())
    elif gained is None:
        click.echo("no peak mode was ordered")
    else:
        before, in_it = (_shares(gained.get(name, {})) for name in ("before", "in_it"))
        click.echo(f"peak mode has ended: in it {in_it}; before it {before}")


def _shares(found: peak.Shares) -> str:
    if not found:
        return "nothing was read"
    return f"{_share(found['hit_ratio'])} of the fleet's reads hit, {_share(found['in_memory'])} in memory"


@command.command("clear")
def clear() -> None:
    """Have nothing cached any more, in all processes: after the database was restored from older data."""
    showing.require_server()
    changing.clear()
    click.echo("the cache is empty, and so is what processes hold; it is loaded anew as it is read")


@command.command("acl")
def acl() -> None:
    """Print the commands that make the users of the cache's server; `wedops grants` has all servers'."""
    for server, lines in grants.printed():
        if server == "cache":
            click.echo("\n".join(lines))


@command.command("warm-season")
@click.argument("region", type=Name())
def warm_season(region: str) -> None:
    """Warm up a region's largest weddings of the coming days, and their suppliers; once a day."""
    ids = seasons.warm(region, now=clock.now())
    click.echo(f"{len(ids)} weddings of {region} are on their way to be warmed up")
