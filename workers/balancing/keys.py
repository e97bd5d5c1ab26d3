"""The Redis keys of nodes.

One hash slot, on the server of connections. functions.lua builds the same names from NODES.
"""

#: What every function of the nodes takes as its key.
NODES = "wedops:{nodes}"
#: Hash: node -> its newest report as JSON. Written by wedops_report; read by wedops_route and `nodes`.
FACTS = f"{NODES}:facts"
#: Sorted set: node -> when it reported last, in ms. Written by wedops_report; read by wedops_route, `nodes`
#: and the watch.
SEEN = f"{NODES}:seen"
#: Hash: wedding -> its nodes, best first. Written by balancing.assign; read by wedops_route.
PLACEMENTS = f"{NODES}:places"
#: Set: nodes that take nobody. Written by the watch over nodes; read by wedops_route and the watch.
OUT = f"{NODES}:out"
#: Set: nodes that admission refuses because they fell silent. Written and read by the watch over nodes.
CUT_OFF = f"{NODES}:cut_off"
#: Set: nodes that an operator or a response drains. Read by wedops_route and `nodes`.
DRAINED = f"{NODES}:drained"
#: Hash: region -> the others, nearest first. Written with the settings; read by wedops_route.
NEAR = f"{NODES}:near"


def counters(node: str) -> str:
    """Return the hash of a node's counters when they were read last.

    What it sends later is counted from there.
    """
    return f"{NODES}:counters:{node}"


def tenants(node: str) -> str:
    """Return the hash of connections by tenant, as a deployment's own metrics have them."""
    return f"{NODES}:tenants:{node}"
