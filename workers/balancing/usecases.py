"""Reading nodes and weddings, deciding where people go, and telling the registry who is out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from redis.exceptions import RedisError

from workers.balancing import rules, store
from workers.balancing.adapters.probe import round_trip
from workers.balancing.adapters.supabase import Scraped
from workers.connections.formats.permits import Permit, PermitRefused
from workers.connections.rules.admission import UserType, shares
from workers.connections.rules.modes import EVERYWHERE
from workers.connections.store import aggregated, backups, modes, upkeep
from workers.connections.store import registry as connections
from workers.foundation import clock, database, jobs, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.rules.samples import Sample
from workers.measurements.usecases import intake
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot
from workers.weddings.store import weddings

log = logs.get("balancing")

#: In seconds; a region whose nodes said nothing for so long is the registry's again.
AGGREGATED_FOR = 180.0
#: A run stops after this many seconds, well inside its time limit; the next one goes on.
ENOUGH = 12.0


def policy() -> rules.Policy:
    """Return the room's policy."""
    return settings.read(rules.Policy)


def place(*, now: Moment) -> int:
    """Place every wedding that is near.

    Return how many places changed. Without a calendar all stay where they are.
    """
    store.publish_nearest(policy().nearest)
    try:
        with database.transaction() as db:
            near = weddings.between(db, now, now + policy().lead)
    except database.DatabaseUnavailable as error:
        log.warning("weddings not placed", reason=error.reason, detail=str(error))
        return 0
    # Couple, planner and vendors come on top of the guests.
    requests = [
        rules.PlacementRequest(one.id, one.guest_count + 3 + len(one.supplier_ids), one.region)
        for one in near
    ]
    before = store.placements()
    share = shares(connections.policy(), emergency=EVERYWHERE in modes.active())[UserType.GUEST]
    changed = store.publish_placements(
        rules.place(requests, store.nodes(), policy(), kept=before, share=share), before
    )
    if changed:
        log.info("weddings placed", changed=changed, weddings=len(requests), reason="nodes_or_calendar")
    return changed


def probe(*, now: MachineMoment) -> None:
    """Measure a round trip through each node that reports, drained or not.

    `probe_ok` (1 or 0) and `probe_seconds`.
    """
    nodes = [node for node in store.nodes() if not node.out and node.url]
    if not nodes:
        return
    with ThreadPoolExecutor(min(8, len(nodes))) as pool:
        trips = list(pool.map(round_trip, nodes))
    at, samples = now.timestamp(), list[Sample]()
    for node, seconds in zip(nodes, trips, strict=True):
        labels = (("node", node.name), ("region", node.region))
        samples.append(Sample("probe_ok", labels, at, float(seconds is not None)))
        if seconds is not None:
            samples.append(Sample("probe_seconds", labels, at, seconds))
    intake.offer(samples, sent_by="probe", now=now)


def take_scraped(
    scraped: Iterable[Scraped], capacity: int, *, now: Moment, machine: MachineMoment
) -> list[Snapshot]:
    """Remember what nodes without a registry say.

    As their reports, and as rows of their regions, which nobody else writes.
    """
    rows = dict[str, Counter[str]]()
    for node in scraped:
        try:
            store.report(_report(node, capacity))
        except store.ReportRefused as error:
            log.warning("node not taken", reason=error.reason, detail=str(error))
            continue
        store.note_tenants(node.node, node.tenants)
        row = rows.setdefault(node.region, Counter())
        row.update({"connections": int(node.now["connections"])} | store.since_last(node.node, node.ever))
    found = [_snapshot(region, row, now) for region, row in rows.items()]
    aggregated.note(rows, until=machine.timestamp() + AGGREGATED_FOR)
    with database.transaction() as db:
        snapshots.append(db, found)
    return found


def _report(node: Scraped, capacity: int) -> store.Report:
    held = int(node.now["connections"])
    cpu, memory = (min(1.0, node.now[name] / 100) for name in ("cpu", "memory"))
    return store.Report(node.node, node.region, "", max(capacity, held), held, cpu, memory)


def _snapshot(region: str, row: Counter[str], now: Moment) -> Snapshot:
    sent = {"messages": row["messages"], "errors": row["errors"], "bytes": row["bytes"]}
    return Snapshot(region, now, row["connections"], row["opened"], **sent)  # type: ignore[arg-type]


def drain(name: str, *, end: bool, now: Moment) -> int:
    """Place a node's weddings elsewhere and let nobody in there.

    Return how many connections were ended, if asked to `end`.
    """
    stop(name)
    place(now=now)
    return upkeep.evict(name) if end else 0


def stop(name: str) -> None:
    """Send nobody to a node any more, and let nobody in there. Raises NodeUnknown."""
    store.require_known(name)
    # Routing stops before admission does, and begins after it: who is cut off in between is to be asked for
    # again.
    store.drain(name)
    connections.publish_limits({f"drained:{name}": "1"})


def undrain(name: str) -> None:
    """Send people to a node again. Raises NodeUnknown."""
    store.require_drained(name)
    connections.publish_limits({f"drained:{name}": ""})
    store.undrain(name)


def nodes() -> list[rules.Node]:
    """Return every node that reported within the hour."""
    return store.nodes()


def weddings_by_node() -> Counter[str]:
    """Return how many weddings have their first place on each node."""
    return Counter(names[0] for names in store.placements().values() if names)


def route(permit: Permit, region: str, *, avoid: str = "") -> rules.Route:
    """Return the node that a permit's holder should connect to, after `wait_ms`.

    `avoid` is the one that just failed them. Raises PermitRefused for a permit without a wedding, NoNode.
    """
    if not permit.wedding_id:
        raise PermitRefused(why="wrong_wedding", remedy="fetch a permit for a wedding")
    to, pace = (permit.wedding_id, permit.user_type, region), policy().joins_per_second
    backed = permit.user_type == UserType.VENDOR and backups.is_allowed(permit.supplier_id or "")
    return store.route(*to, avoid=avoid, joins_per_second=pace, user_id=permit.user_id, backed=backed)


class NodeReports(ExpectedError):
    """node {name!r} reports; drain it, and end its process first"""


def forget(name: str) -> None:
    """Forget a node that will not come back.

    One that reports is known again. Raises NodeUnknown, NodeReports.
    """
    known = {one.name: one for one in store.nodes()}
    if name not in known:
        raise store.NodeUnknown(node=name)
    if not known[name].out:
        raise NodeReports(name=name)
    store.leave(name)


def watch_nodes(*, now: Moment) -> None:
    """Take out nodes that fell silent.

    Take back who returned. A node is marked as out when its people's places are free: what a failure or the
    end of this run leaves over, the next one does. Then weddings move: routing passes over who is silent by
    itself, so where that fails `balancing.place` is early enough.
    """
    nodes, before = store.nodes(), store.out()
    # One that came back before all was done was never marked, and its limit is there.
    refused = before | store.cut_off()
    silent = {node.name for node in nodes if node.out}
    gone = sorted(silent - before)
    forgotten = {node.name for node in nodes if node.silent > store.FORGET_AFTER} | refused - {
        node.name for node in nodes
    }
    back = refused & {node.name for node in nodes} - silent
    for name in store.drained() - {node.name for node in nodes}:
        # It is gone: another one by its name is new.
        undrain(name)
    if gone or back or forgotten:
        limits = {f"out:{name}": "1" for name in gone} | {f"out:{name}": "" for name in back | forgotten}
        store.note_cut_off(gone)
        connections.publish_limits(limits)
        # First what saves people: routing passes over a silent node by itself, but those it had hold places.
        _mark_out(_end(gone))
        _readmit(back, forgotten)
        place(now=now)


def _end(gone: Iterable[str]) -> dict[str, int]:
    """End what is connected to nodes; return how many of each, as far as there was time."""
    begun, ended = clock.stopwatch(), dict[str, int]()
    for name in gone:
        if clock.stopwatch() - begun > ENOUGH:
            break
        try:
            ended[name] = upkeep.evict(name)
        except RedisError as error:
            # It keeps no other node from going out.
            log.error("node not out yet", node=name, reason="redis", detail=str(error))
    return ended


def _mark_out(ended: Mapping[str, int]) -> None:
    store.mark(gone=ended)
    for name, count in ended.items():
        jobs.tally("nodes_lost")
        log.error("node is out", node=name, reason="silent", ended=count)


def _readmit(back: Iterable[str], forgotten: Iterable[str]) -> None:
    for name in sorted(back):
        log.warning("node is back", node=name, reason="reports_again")
    for name in forgotten:
        store.leave(name)
    store.mark(back=[*back, *forgotten])
