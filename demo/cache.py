"""What the gateway reads of the cache for who joins, and keeps there of who is connected.

One call of the cache's server says all that somebody needs; what it has not, the API has. A gateway in any
language does the same: docs/guides/gateway.md.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
from redis.exceptions import RedisError

from demo.addresses import API
from demo.client import Client
from workers.connections.formats.permits import Permit
from workers.connections.rules.channels import canonical
from workers.foundation import clock, logs, redis

log = logs.get("gateway")

#: Whether the API is asked for everybody: what the cache saves is measured so.
BYPASS = os.environ.get("GATEWAY_CACHE_BYPASS") == "on"
#: In seconds: who joins waits no longer for what is good to have.
PATIENCE = 1.5
#: What is restored of who came back, and is not joined again within so many seconds, ends.
RESTORED_FOR = 10.0
REMEMBER_EVERY, AT_ONCE = 0.5, 100
#: In seconds: what is kept of a connection is written again so often, long before it would be gone.
REFRESH_EVERY = 600.0
#: So many joins are read for at once; the others wait, within their patience.
READERS = 8


@dataclass
class Needed:
    """What somebody needs on joining.

    The `wedding`, what they may join (`permissions`), a vendor's weddings (`user`), and which `channels`
    their last connection had.
    """

    wedding: dict[str, Any] | None = None
    permissions: dict[str, Any] | None = None
    user: dict[str, Any] | None = None
    channels: list[str] = field(default_factory=list)

    def reply(self) -> dict[str, Any]:
        """Return what goes with the reply to a join."""
        facts = {"wedding": self.wedding, "permissions": self.permissions, "user": self.user}
        return {name: value for name, value in facts.items() if value is not None}


class Reader:
    """Reads for who joins."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._api = httpx2.Client(base_url=API, timeout=PATIENCE)
        # Threads of its own: a cache that is slow takes none from admission and heartbeats.
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="joining")

    async def read(self, permit: Permit, token: str) -> Needed:
        """Return what a permit's holder needs; nothing where that takes too long."""
        found = asyncio.get_running_loop().run_in_executor(self._threads, self.needed, permit, token)
        try:
            return await asyncio.wait_for(found, PATIENCE)
        except TimeoutError:
            return Needed()

    def needed(self, permit: Permit, token: str) -> Needed:
        """Return what a permit's holder needs; what cannot be read now is left out. For a thread."""
        if permit.wedding_id is None:
            return Needed()
        found = {} if BYPASS else _cached(permit)
        _, last = found.get("connection", ("", None))
        channels = list((last or {}).get("channels", ()))
        asked = None if _is_whole(found, permit) else self._ask(token)
        if asked is not None:
            return Needed(asked["wedding"], asked["subscription"], asked["user"], channels)
        values = {kind: value for kind, (_, value) in found.items()}
        return Needed(values.get("wedding"), values.get("subscription"), values.get("user"), channels)

    def _ask(self, token: str) -> dict[str, Any] | None:
        try:
            answer = self._api.get("/v1/joining", headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError as error:
            log.warning("nothing to join with", reason="api", detail=type(error).__name__)
            return None
        body: dict[str, Any] | None = answer.json() if answer.status_code == httpx2.codes.OK else None
        return body


def _is_whole(found: dict[str, tuple[str, Any]], permit: Permit) -> bool:
    """Return whether nothing needed is missing or stale."""
    if any(state == "stale" for state, _ in found.values()) or "wedding" not in found:
        return False
    if found["wedding"][1] is None:
        return True  # Of a wedding that does not exist there is nothing more to know.
    return "subscription" in found and (not permit.supplier_id or "user" in found)


def _cached(permit: Permit) -> dict[str, tuple[str, Any]]:
    """Return (state, value) by kind of what the cache has."""
    role = [permit.wedding_id, permit.user_type, *([permit.supplier_id] if _is_vendor(permit) else [])]
    names = {
        "wedding": f"wedding:{permit.wedding_id}",
        "subscription": ":".join(["subscription", *map(str, role)]),
        "connection": f"connection:{permit.wedding_id}:{permit.user_id}",
        **({"user": f"user:{permit.supplier_id}"} if permit.supplier_id else {}),
    }
    try:
        answers = redis.cache_server(decode=False).fcall("wedops_cached", 0, *names.values())
    except RedisError as error:
        log.warning("joined without cache", reason="redis", detail=type(error).__name__)
        return {}
    found = zip(names, answers, strict=True)
    return {kind: _read(*answer) for kind, answer in found if answer is not None}


def _is_vendor(permit: Permit) -> bool:
    return permit.user_type == "vendor" and permit.supplier_id is not None


def _read(state: bytes, _revision: int, encoding: bytes, body: bytes) -> tuple[str, Any]:
    if encoding == b"zstd":
        import zstandard  # noqa: PLC0415 - in peak mode only

        body = zstandard.ZstdDecompressor().decompress(body)
    return state.decode(), orjson.loads(body)


class Rememberer:
    """Keeps of each connection which channels it has, for the next one of the same person."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """Keep nothing yet of the `clients` that are connected."""
        self._clients = clients
        self._changed: dict[str, Client] = {}

    def changed(self, client: Client) -> None:
        """Keep what a client has now, soon."""
        if client.record.wedding_id:
            self._changed[client.record.id] = client

    async def remember(self) -> None:
        """Write what changed, and now and then all of it, until cancelled."""
        refreshed = clock.stopwatch()
        while True:
            await asyncio.sleep(REMEMBER_EVERY)
            if clock.stopwatch() - refreshed > REFRESH_EVERY:
                refreshed = clock.stopwatch()
                for client in self._clients.values():
                    self.changed(client)
            clients, self._changed = list(self._changed.values()), {}
            for first in range(0, len(clients), AT_ONCE):
                page = clients[first : first + AT_ONCE]
                if not await asyncio.to_thread(_write, [_kept(one) for one in page]):
                    self._changed = {one.record.id: one for one in page} | self._changed


def _kept(client: Client) -> tuple[str, str, bytes]:
    body = {"channels": sorted(set(map(canonical, client.topics)))}
    return str(client.record.wedding_id), client.record.user_id, orjson.dumps(body)


def _write(rows: Iterable[tuple[str, str, bytes]]) -> bool:
    """Return whether the server took them."""
    words = [word for row in rows for word in row]
    try:
        redis.cache_server().fcall("wedops_cache_remember", 0, *words)
    except RedisError as error:
        log.warning("connections not remembered", reason="redis", detail=type(error).__name__)
        return False
    return True
