"""A crowd for the registry's benchmarks: connections of weddings as large as real ones."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import orjson

from workers.connections import keys
from workers.connections.store import registry as store
from workers.connections.store.registry import Connection
from workers.foundation import redis

TYPES = ("guest",) * 16 + ("vendor",) * 3 + ("couple",)
NODES = 10


def sizes(weddings: int, seed: int = 7) -> list[int]:
    """Return how many people each wedding has: lognormal, median 100, sigma 0.55, as weddings are."""
    found: list[int] = (
        np.random.default_rng(seed).lognormal(np.log(100), 0.55, weddings).astype(int).clip(2, 2000).tolist()
    )
    return found


def people(count: int) -> Iterator[Connection]:
    """Yield `count` connections.

    Wedding after wedding, one in eleven people with a second one, vendors with a supplier.
    """
    return islice(_people(), count)


def _people() -> Iterator[Connection]:
    number = 0
    for wedding, size in enumerate(sizes(20_000)):
        for person in range(size):
            number += 1
            user_type = TYPES[person % len(TYPES)]
            yield Connection(
                id=f"c{number:x}",
                user_id=f"u{number * 10 // 11}",
                user_type=user_type,
                node=f"rt-{wedding % NODES}",
                region="us-northeast",
                wedding_id=f"w-{wedding}",
                supplier_id=f"s{wedding * 14 + person % 14}" if user_type == "vendor" else None,
                device="mobile",
                api_version="2",
                channels=(f"timeline:w-{wedding}",),
            )


def request(one: Connection) -> tuple[str, bytes]:
    """Return the shard and the request of `wedops_open` for a connection."""
    return keys.shard(one.tenant, store.policy().shards), orjson.dumps(
        {k: v for k, v in vars(one).items() if v}
    )


def open_all(connections: Iterator[Connection]) -> list[str]:
    """Open them, 1,000 a round trip; return their refs."""
    refs: list[str] = []
    while some := list(islice(connections, 1_000)):
        with redis.connections().pipeline(transaction=False) as pipe:
            for one in some:
                pipe.fcall("wedops_open", 1, *request(one))
            answers = [orjson.loads(answer) for answer in pipe.execute()]
        refused = [answer for answer in answers if not answer["ok"]]
        if refused:
            raise AssertionError(refused[0])
        refs += [answer["ref"] for answer in answers]
    return refs


def lose(refs: list[str]) -> None:
    """Have them show no life for long."""
    with redis.connections().pipeline(transaction=False) as pipe:
        for ref in refs:
            pipe.zadd(f"{keys.shard(store.tenant_of(ref), store.policy().shards)}:active", {ref: 1})
        pipe.execute()
