"""Counts never drift.

Random opens, beats, closes, crashes and sweeps from several clients at once, against a model of each.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from tests.integration.connections.test_store import counts
from tests.made import connection
from workers.connections import keys
from workers.connections.store import registry as store
from workers.connections.store import upkeep
from workers.connections.store.registry import Connection, Measurement
from workers.foundation import redis

pytestmark = pytest.mark.usefixtures("world")

CLIENTS, STEPS = 4, 3_000


@dataclass
class Client:
    """A gateway that opens, beats, closes and crashes at random, and knows what must be open."""

    number: int
    random: Random
    alive: dict[str, Connection] = field(default_factory=dict)
    taken: int = 0

    def go(self, steps: int) -> "Client":
        """Take so many steps."""
        doing = (
            self.open,
            self.open,
            self.beat,
            self.measure,
            self.close,
            self.crash,
            self.subscribe,
            self.unsubscribe,
        )
        for step in range(steps):
            self.random.choice(doing)()
            if step % 100 == self.number:
                upkeep.sweep()
            self.taken += 1
        return self

    def open(self) -> None:
        """Open a connection of one of 12 users of this client.

        Two in five belong to a supplier that all clients share.
        """
        user = f"u{self.number}-{self.random.randrange(12)}"
        facts: dict[str, object] = {"wedding_id": f"w-{self.random.randrange(4)}"}
        if user.endswith(("1", "3")):
            facts |= {"supplier_id": f"s{self.random.randrange(2)}", "user_type": "vendor"}
        facts["channels"] = tuple(f"timeline:{number}" for number in range(self.random.randrange(3)))
        if self.alive and self.random.random() < 0.1:
            one = replace(self.random.choice(list(self.alive.values())), node=f"n{self.random.randrange(3)}")
        else:
            one = connection(f"c{self.taken}", user_id=user, node=f"n{self.random.randrange(3)}", **facts)
        mine = sum(
            (other.tenant, other.user_id) == (one.tenant, one.user_id) for other in self.alive.values()
        )
        answer = store.open(one, reuse=self.random.random() < 0.2, resume=self.random.random() < 0.1)
        # What crashed holds no place: its user needs it now.
        if one.ref in self.alive or mine < 5 or answer.reused:
            assert answer.ok, answer
        else:
            assert answer.reason == "user_limit"
        if answer.reused:
            self._has(answer.ref, {*self.alive[answer.ref].channels, *one.channels})
        elif answer.ok:
            self.alive[one.ref] = one

    def beat(self) -> None:
        """Beat for everybody."""
        assert store.heartbeat(self.alive) == []

    def measure(self) -> None:
        """Measure some."""
        some = self.random.sample(list(self.alive), min(5, len(self.alive)))
        assert store.measure(Measurement(ref, self.random.uniform(5, 500), 3) for ref in some) == []

    def subscribe(self) -> None:
        """Subscribe one to something."""
        if self.alive:
            ref, more = (
                self.random.choice(list(self.alive)),
                [f"timeline:{self.random.randrange(9)}" for _ in range(2)],
            )
            assert store.subscribe(ref, more)
            self._has(ref, {*self.alive[ref].channels, *more})

    def unsubscribe(self) -> None:
        """End some of one's subscriptions."""
        if self.alive:
            ref, less = self.random.choice(list(self.alive)), {f"timeline:{number}" for number in range(4)}
            assert store.unsubscribe(ref, less) == len(less & set(self.alive[ref].channels))
            self._has(ref, set(self.alive[ref].channels) - less)

    def _has(self, ref: str, channels: set[str]) -> None:
        self.alive[ref] = replace(self.alive[ref], channels=tuple(sorted(channels)))

    def close(self) -> None:
        """Close one."""
        if self.alive:
            ref, _ = self.alive.popitem()
            assert store.close(ref)
            assert not store.close(ref)

    def crash(self) -> None:
        """Lose one; some sweep will find it."""
        if self.alive:
            ref = self.random.choice(list(self.alive))
            del self.alive[ref]
            assert store.lost(ref)


def drive(seed: int, steps: int) -> list[Connection]:
    """Let all clients run side by side, end what crashed, and return what must be open."""
    # A user's five places are what this is about; the rates would only slow it down.
    store.each(
        store.shards(), "wedops_limit", len(store.shards()), '{"user": 5, "supplier": 100000, "pool": 100000}'
    )
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [Client(number, Random(seed * 10 + number)) for number in range(CLIENTS)]
        list(pool.map(lambda client: client.go(steps), clients))
    upkeep.sweep()
    assert sum(client.taken for client in clients) == CLIENTS * steps
    return [one for client in clients for one in client.alive.values()]


def expected(alive: list[Connection]) -> Counter[str]:
    """Return the counts that these connections make."""
    found: Counter[str] = Counter()
    for one in alive:
        found[f"node:{one.node}"] += 1
        found[f"rt:{one.region}|{one.user_type}"] += 1
        found[f"wt:{one.wedding_id}|{one.user_type}"] += 1
        found[f"subs:{one.region}"] += len(one.channels)
        if one.supplier_id:
            found[f"supplier:{one.supplier_id}"] += 1
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_twelve_thousand_random_steps_leave_no_drift(seed: int) -> None:
    alive = drive(seed, STEPS)
    assert counts() == expected(alive)
    assert store.total() == len(alive)
    assert upkeep.audit().drifts == []
    people = upkeep.presence("w-1", ["s0", "s1"]).users
    assert set(people) == {one.user_id for one in alive if one.wedding_id == "w-1"}


def test_an_audit_finds_and_mends_what_drifted() -> None:
    alive = [connection(f"c{number}", user_id=f"u{number}") for number in range(30)]
    for one in alive:
        store.open(one)
    shard = keys.shard("w-1", 64)
    redis.connections().hset(f"{shard}:counts", mapping={"node:n1": 7, "node:ghost": 3})
    redis.connections().hdel(f"{shard}:counts", "wt:w-1|guest")
    redis.connections().zrem(f"{shard}:active", alive[0].ref)
    redis.connections().zadd(f"{shard}:active", {"w-1/u99/c99": 5e12})
    found = {(drift.name, drift.was, drift.now) for drift in upkeep.audit().drifts}
    counted = {("node:n1", 7, 30), ("node:ghost", 3, 0), ("wt:w-1|guest", 0, 30)}
    assert found == counted | {(f"unlisted {alive[0].ref}", 0, 1), ("stray w-1/u99/c99", 1, 0)}
    assert counts() == expected(alive)
    assert store.total() == 30
    assert upkeep.audit().drifts == []


def test_an_audit_that_has_no_time_goes_on_where_the_last_one_ended() -> None:
    server, every = redis.connections(), store.shards()
    for shard in (every[0], every[-1]):
        server.hset(f"{shard}:counts", mapping={"node:ghost": 7, "moves": 1})
    found = [upkeep.audit(enough=0).drifts for _ in every]
    assert [len(one) for one in found] == [1, *[0] * (len(every) - 2), 1]
    assert upkeep.audit(enough=0).drifts == [], "it begins again with the first"
    assert server.get(keys.AUDIT) == "1"


def test_an_audit_leaves_a_shard_alone_that_moves_meanwhile() -> None:
    store.open(connection())
    shard = keys.shard("w-1", 64)
    assert redis.connections().fcall("wedops_repair", 1, shard, 99, "{}", "[]", "[]") == [0]
    assert store.total() == 1
