"""Who joins gets what they need with the reply, and who comes back has what they had: out of the cache."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from realtime import AsyncRealtimeClient
from websockets.sync.client import ClientConnection, connect

from demo import phoenix
from tests.acceptance.conftest import System
from tests.made import eventually
from workers.connections.formats import permits
from workers.connections.store import registry
from workers.foundation import redis

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(180)]

OWN = ("wedding:w-1", "timeline:w-1", "photos:w-1")


def _open(system: System, user: str, **facts: str) -> ClientConnection:
    permit = permits.issue(permits.Permit(user, **{"user_type": "guest", "wedding_id": "w-1"} | facts))
    return connect(f"{system.gateway}/websocket?{urlencode({'apikey': permit, 'vsn': '1.0.0'})}")


def _join(socket: ClientConnection, channel: str) -> dict[str, Any]:
    frame = phoenix.Frame(f"realtime:{channel}", phoenix.JOIN, {}, channel, channel)
    socket.send(frame.text())
    while True:
        said = orjson.loads(socket.recv(timeout=10))
        if said.get("ref") == channel:
            payload: dict[str, Any] = said["payload"]
            return payload


def _channels(user: str) -> set[str]:
    return {channel for one in registry.connections_of("w-1", user) for channel in one["channels"]}


def test_the_wedding_and_what_one_may_join_come_with_the_reply(system: System) -> None:
    with _open(system, "r1") as socket:
        reply = _join(socket, "wedding:w-1")
        assert reply["status"] == "ok"
        assert reply["response"]["wedding"]["wedding_id"] == "w-1"
        assert reply["response"]["permissions"]["channels"] == ["wedding:w-1"]
        assert reply["response"]["postgres_changes"] == []
    with _open(system, "r2") as socket:
        assert _join(socket, "wedding:w-1")["response"]["wedding"]["wedding_id"] == "w-1"
    assert redis.cache_server().exists("wedops:cache:wedding:w-1")


def test_who_comes_back_has_what_they_had_before_they_ask_for_it(system: System) -> None:
    with _open(system, "r3") as socket:
        for channel in OWN:
            assert _join(socket, channel)["status"] == "ok"
        assert eventually(lambda: redis.cache_server().exists("wedops:cache:connection:w-1:r3"))
        assert eventually(lambda: len(_remembered("r3")) == len(OWN))
        socket.socket.close()
    with _open(system, "r3") as again:
        assert eventually(lambda: _channels("r3") == set(OWN))
        assert _join(again, OWN[1])["status"] == "ok"
        assert eventually(lambda: _channels("r3") == {OWN[1]}, within=20), "what is not joined again ends"


def _remembered(user: str) -> list[str]:
    text = redis.cache_server().get(f"wedops:cache:connection:w-1:{user}")
    found: list[str] = orjson.loads(text.partition("\n")[2])["channels"]
    return found


def test_the_official_client_joins_as_ever(system: System) -> None:
    async def _joined() -> list[str]:
        permit = permits.issue(permits.Permit("r4", "guest", "w-1"))
        client, states = AsyncRealtimeClient(system.gateway, permit), list[str]()
        await client.connect()
        done = asyncio.Event()

        def _subscribed(state: Any, _error: Any) -> None:
            states.append(str(state.value))
            done.set()

        await client.channel("wedding:w-1").subscribe(_subscribed)
        await asyncio.wait_for(done.wait(), 10)
        await client.close()
        return states

    assert asyncio.run(_joined()) == ["SUBSCRIBED"]
