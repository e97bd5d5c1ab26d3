"""A real round trip through a node, as a person would make it: silence is not health."""

from socket import create_connection
from typing import Any
from urllib.parse import urlencode

import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from workers.balancing.rules import Node, Policy
from workers.connections.formats import permits
from workers.foundation import clock, guard, logs, settings

log = logs.get("balancing")

#: Who asks, and for which wedding: nobody's; as a planner, for guests are refused first. How long an answer
#: may take, in s.
USER, PATIENCE = "wedops-probe", 3.0
_HEARTBEAT: dict[str, Any] = {
    "topic": "phoenix",
    "event": "heartbeat",
    "payload": {},
    "ref": "probe",
    "join_ref": None,
}


def round_trip(node: Node) -> float | None:
    """Connect to a node, send a heartbeat and hear its answer.

    Return the seconds from that to this, None when it failed.
    """
    try:
        where = guard.checked(node.url, guard.networks(settings.read(Policy).node_networks))
    except guard.AddressRefused as error:
        log.warning("node not probed", node=node.name, reason=error.reason, detail=str(error))
        return None
    permit = permits.issue(permits.Permit(f"{USER}-{node.name}", "planner", USER))
    words = urlencode({"apikey": permit, "region": node.region, "vsn": "1.0.0"})
    try:
        # To the address that was checked, whatever the name stands for by now.
        line = create_connection(where, timeout=PATIENCE)
        with connect(
            f"{node.url}/websocket?{words}", sock=line, open_timeout=PATIENCE, close_timeout=1
        ) as socket:
            begun = clock.stopwatch()
            socket.send(orjson.dumps(_HEARTBEAT).decode())
            while clock.stopwatch() - begun < PATIENCE:
                answer = orjson.loads(socket.recv(timeout=PATIENCE))
                if isinstance(answer, dict) and answer.get("ref") == "probe":
                    return clock.stopwatch() - begun
    except (OSError, TimeoutError, WebSocketException, ValueError):
        return None
    return None
