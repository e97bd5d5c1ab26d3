"""What is wrong in the realtime layer now."""

from collections import defaultdict

from workers.alerts import rules
from workers.balancing import store as balancing
from workers.connections import store as connections
from workers.connections.store import upkeep


def realtime() -> list[rules.Breach]:
    """Return a breach for each node that is out, and for each wedding whose couple or planner is badly connected."""
    nodes, out = balancing.nodes(), balancing.out()
    gone = {node.name: node.region for node in nodes if node.name in out}
    low: dict[str, list[float]] = defaultdict(list)
    for ref, score in upkeep.poor().items():
        low[connections.tenant_of(ref)].append(score)
    return rules.nodes_out(gone, (node.region for node in nodes if node.name not in out)) + rules.quality(low)
