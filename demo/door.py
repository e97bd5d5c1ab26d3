"""The gateway's door: who may come in, by permit and registry, and what those are told who may not."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2s
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson
from redis.exceptions import RedisError
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from workers.connections.formats import permits
from workers.connections.formats.permits import PermitRefused
from workers.connections.rules.admission import names_wedding
from workers.connections.rules.revocations import Revocation
from workers.connections.store import registry
from workers.connections.store.registry import Admission, Connection, ConnectionRefused
from workers.foundation import logs
from workers.foundation.errors import ExpectedError

log = logs.get("gateway")

PORT = int(os.environ.get("GATEWAY_PORT", "4000"))
#: Another one at each start. What an earlier process held is ended once that is silent: no gateway may end
#: another's connections.
NODE = os.environ.get("GATEWAY_NODE") or f"{socket.gethostname()}-{PORT}-{uuid4().hex[:4]}"
CAPACITY = int(os.environ.get("GATEWAY_CAPACITY", "1000"))
#: Where the people of this node are; a node of the real world has one. A client names it, and is believed
#: within these.
REGIONS = os.environ.get("GATEWAY_REGIONS", "us-northeast us-south us-west").split()
#: What cannot be mended by waiting; every other refusal is `too many requests`.
STATUS = {"wrong_wedding": HTTPStatus.FORBIDDEN, "backup_not_allowed": HTTPStatus.FORBIDDEN}


def asked(path: str) -> dict[str, str]:
    """Return the words of a handshake's address; raises ConnectionRefused."""
    try:
        return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    except ValueError as error:
        raise ConnectionRefused(problem=f"the address is none ({error})") from None


def record(permit: permits.Permit, asked: dict[str, str]) -> Connection:
    permits.check_wedding(permit, asked.get("wedding_id"))
    channels = tuple(asked["channels"].split(",")) if "channels" in asked else ()
    if not all(names_wedding(channel, permit.wedding_id or "") for channel in channels):
        raise PermitRefused(
            why="wrong_wedding", remedy="ask for channels of the wedding that the permit is for"
        )
    region = asked.get("region", REGIONS[0])
    if region not in REGIONS:
        raise ConnectionRefused(problem=f"region must be one of {', '.join(REGIONS)}")
    return Connection(
        id=uuid4().hex[:16],
        node=NODE,
        region=region,
        api_version=asked.get("vsn"),
        device=asked.get("device"),
        channels=channels,
        backup="backup" in asked,
        **permit.who(),
    )


def ended(permit: permits.Permit, revoked: Iterable[Revocation], *, at: float) -> str:
    """Return why a permit is good no longer; empty while it is."""
    if permit.expires_at <= at:
        return "token_expired"
    return "token_revoked" if permit.is_revoked(revoked, at=at) else ""


def restored(record: Connection, channels: Iterable[str]) -> Connection:
    """Return a connection with the channels, too, that the person's last one had."""
    own = (one for one in channels if names_wedding(one, record.wedding_id or ""))
    return replace(record, channels=tuple(dict.fromkeys((*record.channels, *own))))


def taken(record: Connection, answer: Admission) -> set[str]:
    """Return the channels that the registry took with a connection."""
    refused = {channel for kind in answer.kinds.values() for channel, _ in kind.get("refused", ())}
    return set(record.channels) - refused


async def inform(what: Callable[..., object], *facts: Any) -> None:
    """Tell the registry; when that is unavailable, its sweep finds out."""
    try:
        await asyncio.to_thread(what, *facts)
    except (ExpectedError, RedisError) as error:
        log.warning("registry not informed", reason="redis", detail=str(error))


def opaque(socket: ServerConnection) -> str:
    """Return a word that differs by address and tells it to nobody: no address gets into the registry."""
    key = next(iter(permits.keys().values())).encode()[:32]
    return blake2s(str(socket.remote_address[0]).encode(), digest_size=8, key=key).hexdigest()


def count(reason: str, address: str) -> int:
    """Count a refusal of ours under this node's first region.

    What a refused client says of itself is not believed.
    """
    try:
        return registry.refused(REGIONS[0], reason, address)
    except (ExpectedError, RedisError):
        return 0


def refuse(socket: ServerConnection, answer: Admission, detail: str = "") -> Response:
    facts = {
        "reason": "use_open_connection" if answer.reused else answer.reason,
        "retry_after_ms": answer.retry_after_ms,
    }
    status = STATUS.get(
        answer.reason,
        HTTPStatus.UNAUTHORIZED if answer.reason.startswith("token") else HTTPStatus.TOO_MANY_REQUESTS,
    )
    if answer.reused:
        status, facts = HTTPStatus.CONFLICT, facts | {"ref": answer.ref, "node": answer.node}
    if answer.reason == "invalid":
        status = HTTPStatus.BAD_REQUEST
    response = socket.respond(
        status, orjson.dumps(facts | ({"detail": detail} if detail else {})).decode() + "\n"
    )
    response.headers["Retry-After"] = str(ceil(answer.retry_after_ms / 1000))
    return response
