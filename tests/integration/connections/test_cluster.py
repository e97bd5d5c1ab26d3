"""The registry on a Redis Cluster.

Three nodes, every function on each, and nothing that needs two slots at once.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.connections.test_counts import drive, expected
from tests.integration.connections.test_store import counts
from tests.made import NOON, connection, eventually
from workers.balancing import store as balancing
from workers.balancing import usecases as placing
from workers.balancing.store import Report
from workers.connections.rules import report
from workers.connections.store import levels, upkeep
from workers.connections.store import registry as store
from workers.connections.usecases import suppliers as usecases
from workers.foundation import clock, redis
from workers.processes import servers
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.policy import Resource
from workers.scaling.store import gateways

SLOTS = 16_384


@pytest.fixture(scope="module")
def cluster(real_servers: list[servers.Server]) -> Iterator[None]:
    """Have the connections live on a cluster of three for the length of the module."""
    folder = Path(tempfile.mkdtemp(prefix="wedops-cluster-"))
    options = {"cluster-enabled": "yes", "appendonly": "no", "save": ""}
    nodes = [
        servers.start_valkey(folder, f"node{number}", options | {"cluster-port": str(servers.free_port())})
        for number in range(3)
    ]
    try:
        _join([Redis.from_url(node.url, decode_responses=True) for node in nodes])
        os.environ["WEDOPS_CONNECTIONS_URL"] = (
            nodes[0].url.replace("redis://", "redis+cluster://").removesuffix("/0")
        )
        redis.load_functions()
        store.publish_limits()
        yield
    finally:
        os.environ.pop("WEDOPS_CONNECTIONS_URL", None)
        for node in nodes:
            node.stop()


def _join(clients: list["Redis"]) -> None:
    port = {
        name: client.config_get(name)[name] for client in clients[:1] for name in ("port", "cluster-port")
    }
    for number, client in enumerate(clients):
        first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
        client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        client.execute_command("CLUSTER MEET", servers.LOOPBACK, port["port"], port["cluster-port"])
    assert eventually(
        lambda: all(client.cluster("info")["cluster_state"] == "ok" for client in clients), within=30
    )


def test_all_that_the_registry_does_works_on_a_cluster(cluster: None) -> None:
    assert redis.outdated_functions() == []
    alive = drive(3, 250)
    assert counts() == expected(alive)
    assert upkeep.audit().drifts == []
    assert len({redis.connections().keyslot(shard) * 3 // SLOTS for shard in store.shards()}) == 3
    [region] = report.snapshots(report.add_up(upkeep.snapshot()), [], at=NOON)
    assert region.connections == len(alive)
    here = sum(one.node == "n1" for one in alive)
    assert upkeep.evict("n1") == here
    assert counts() == expected([one for one in alive if one.node != "n1"])
    people = upkeep.presence("w-1", ["s0", "s1"]).users
    assert set(people) == {one.user_id for one in alive if one.wedding_id == "w-1" and one.node != "n1"}
    usecases.limit_supplier("s9", 250, now=clock.machine_now())
    balancing.report(Report("n7", "us-northeast", "ws://n7", 100, 0))
    assert balancing.route("w-1", "guest", "us-northeast").node == "n7"
    placing.stop("n7")
    with pytest.raises(balancing.NoNode):
        balancing.route("w-1", "guest", "us-northeast")
    assert store.open(connection("late", node="n7")).reason == "node_draining"
    store.open(connection("last", user_id="u-last"))
    store.lost("w-1/u-last/last")
    assert upkeep.sweep() == 1
    assert [levels.publish_levels({"guest|mobile|setup": {"batch_ms": 5}}) for _ in range(2)] == [1, 0]
    assert [levels.publish_phases({"w-1": "setup"}) for _ in range(2)] == [1, 0]
    action = Action(1, "east", Resource.INSTANCES, 2, 4, "demand", State.APPROVED, clock.now(), "test")
    assert [gateways.publish("east", [action], connections_per_instance=10) for _ in range(2)] == [
        True,
        False,
    ]
