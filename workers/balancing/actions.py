"""Reading nodes and weddings, deciding where people go, and telling the registry who is out."""

from workers.balancing import rules, store
from workers.connections import store as connections
from workers.connections.store import upkeep
from workers.foundation import clock, database, jobs, logs, settings
from workers.weddings import store as weddings

log = logs.get("balancing")


def policy() -> rules.Policy:
    """Return the room's policy."""
    return settings.read(rules.Policy, "BALANCING_")


def place() -> int:
    """Place every wedding that is near; return how many places changed."""
    now = clock.now()
    with database.transaction() as db:
        near = weddings.between(db, now, now + policy().lead)
    # Couple, planner and vendors come on top of the guests.
    parties = [rules.Party(one.id, one.guest_count + 3 + len(one.supplier_ids), one.region) for one in near]
    before = store.places()
    changed = store.tell_places(rules.place(parties, store.nodes(), policy(), kept=before), before)
    if changed:
        log.info("weddings placed", changed=changed, weddings=len(parties), reason="nodes_or_calendar")
    return changed


def watch_nodes() -> None:
    """Take out nodes that fell silent: their people's places are free, their weddings move. Take back who returned."""
    nodes, before = store.nodes(), store.out()
    silent = {node.name for node in nodes if node.out(policy())}
    gone, back = silent - before, before & {node.name for node in nodes} - silent
    store.forget(node.name for node in nodes if node.silent > store.FORGET_AFTER)
    if not gone and not back:
        return
    store.mark(gone=gone, back=back)
    connections.tell_limits({f"out:{name}": "1" for name in gone} | {f"out:{name}": "" for name in back})
    place()
    for name in sorted(gone):
        jobs.tally("nodes_lost")
        log.error("node is out", node=name, reason="silent", ended=upkeep.evict(name))
    for name in sorted(back):
        log.warning("node is back", node=name, reason="reports_again")
