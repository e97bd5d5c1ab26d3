"""Official clients and other languages, through the gateway and the registry.

Who is let in, who is not, who comes back.
"""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx2 as httpx
import pytest
from realtime import AsyncRealtimeClient
from websockets.asyncio.client import connect as connect_async
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from demo import kit, phoenix
from tests import ROOT
from tests.acceptance import javascript
from tests.acceptance.conftest import System, person, running, said
from tests.made import eventually
from workers.alerts.rules import lifecycle as alerts_rules
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach
from workers.alerts.store import moves
from workers.balancing import store as balancing
from workers.balancing.adapters.probe import round_trip
from workers.connections.formats import permits
from workers.connections.formats.permits import Permit
from workers.connections.store import presence, registry, upkeep
from workers.foundation import clock, database, redis
from workers.processes import servers
from workers.scaling.adapters.actuators import ActuatorRefused, ActuatorUnreachable
from workers.scaling.adapters.supabase import SupabaseTenant
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.policy import Resource

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]

NODES = ("node-a", "node-b", "node-c")
Person = AbstractContextManager["subprocess.Popen[str]"]


def _probe(system: System, token: str, **words: str) -> tuple[int, dict[str, object], str]:
    """Knock as any WebSocket client does; return the status, the reason's JSON and how long to wait."""
    try:
        with connect(
            f"{system.gateway}/websocket?{urlencode({'apikey': token, 'region': 'us-south'} | words)}"
        ) as socket:
            return (socket.response.status_code if socket.response else 0), {}, ""
    except InvalidStatus as refused:
        response = refused.response
        return response.status_code, json.loads(response.body or b"{}"), response.headers["Retry-After"]


def _official(system: System, user: str) -> Person:
    return person([sys.executable, "-m", "tests.acceptance.person", system.gateway, "us-south", "stay", user])


def _javascript(system: System, user: str, topic: str = "wedding:w-1", *say: str) -> Person:
    permit = permits.issue(Permit(user, "guest", "w-1"))
    return person(
        [
            *javascript.prepare(ROOT / "tests/acceptance/person.ts"),
            system.gateway,
            permit,
            "us-south",
            topic,
            *say,
        ]
    )


def _raised(one: Person) -> Person:
    common = '{"user": 7, "supplier": 200, "pool": 1000, "shares": {"guest": 0.9, "vendor": 0.97}}'
    registry.each(registry.shards(), "wedops_limit", 64, common)
    return one


def test_the_sixth_connection_is_refused_with_429_until_the_limit_is_raised(system: System) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            assert said(stack.enter_context(_official(system, "anna"))) == "joined"
        sixth = permits.issue(Permit("anna", "guest", "w-1"))
        status, body, wait = _probe(system, sixth)
        assert (status, body["reason"], int(wait) >= 30) == (429, "user_limit", True)
        assert "429" in said(stack.enter_context(_official(system, "anna")))
        with _javascript(system, "anna") as refused:
            assert said(refused) == "refused 429 user_limit"
        # The schedule tells the set limit again and again, so one try may come too late.
        assert any(
            said(stack.enter_context(_raised(_official(system, "anna")))) == "joined" for _ in range(3)
        )
        assert any(
            said(stack.enter_context(_raised(_javascript(system, "anna")))) == "joined" for _ in range(3)
        )
    registry.publish_limits()
    # Killed, none of them said goodbye: the next sweep ends them, 30 s later on an ordinary day.
    assert eventually(lambda: registry.total() == 0, within=60)


def test_the_javascript_client_may_join_its_own_wedding_only(system: System) -> None:
    with _javascript(system, "bea") as own, _javascript(system, "carl", "wedding:w-2") as other:
        assert said(own) == "joined"
        assert said(other) == "CHANNEL_ERROR"
        online = upkeep.presence("w-1")
        assert (online.connections["guest"], set(online.users)) == (2, {"bea", "carl"})


def test_broadcasts_of_the_javascript_client_are_heard_and_acknowledged(system: System) -> None:
    with _javascript(system, "dora") as hears, _official(system, "emil") as other:
        assert said(hears) == said(other) == "joined"
        with _javascript(system, "fay", "wedding:w-1", "21:30 – café") as says:
            assert [said(says), said(says)] == ["joined", "ok"]
        assert said(hears) == 'heard {"at":"21:30 – café"}'
    assert eventually(lambda: _observed("us-south") == (True, True, True), within=60), _observed("us-south")


def _observed(region: str) -> tuple[bool, bool, bool]:
    """Tell whether the region's rows have times to connect and to deliver, and batches."""
    asked = (
        "SELECT count(connect_p95_ms) > 0, count(delivery_p95_ms) > 0, sum(batches) > 0 FROM "
        "connection_metrics"
    )
    with database.transaction() as db:
        found = db.exec_driver_sql(f"{asked} WHERE region = %s", (region,)).one()
    return found[0], found[1], bool(found[2])


def test_who_sends_as_fast_as_they_can_is_closed_and_nobody_else(system: System) -> None:
    before = system.pid("demo.gateway")
    with _javascript(system, "gil") as hears:
        assert said(hears) == "joined"
        codes = asyncio.run(_storm(system))
        # Who goes on sending never reads the goodbye: cut off then, which is 1006.
        assert set(codes) <= {1008, 1006}
        with _javascript(system, "hans", "wedding:w-1", "22:00") as says:
            assert [said(says), said(says)] == ["joined", "ok"]
        assert eventually(lambda: said(hears) == 'heard {"at":"22:00"}')
    assert system.pid("demo.gateway") == before


async def _storm(system: System) -> list[int | None]:
    """Have two guests broadcast as fast as they can; return how each was closed."""

    async def _one(user: str) -> int | None:
        query = urlencode(
            {"apikey": permits.issue(Permit(user, "guest", "w-1")), "region": "us-south", "vsn": "1.0.0"}
        )
        async with connect_async(f"{system.gateway}/websocket?{query}", ping_interval=None) as socket:
            topic = "realtime:wedding:w-1"
            await socket.send(phoenix.Frame(topic, phoenix.JOIN, {}, "1", "1").text())
            with suppress(ConnectionClosed):
                for number in range(100_000):
                    await socket.send(phoenix.Frame(topic, phoenix.BROADCAST, {"n": number}, "2", "1").text())
            await socket.wait_closed()
            return socket.close_code

    return list(await asyncio.gather(_one("storm1"), _one("storm2")))


def test_the_kit_for_gateways_finds_nothing_wrong_with_ours(system: System) -> None:
    # Somebody for each check, for a person has five places, and who was closed waits.
    found = asyncio.run(
        kit.check(
            kit.Gateway(f"{system.gateway}/websocket", permits.issue(Permit("kit", "guest", "w-1")), "w-1")
        )
    )
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_kit_for_gateways_finds_what_is_wrong_with_one_that_limits_nothing() -> None:
    async def _check() -> dict[str, str]:
        async def _answer_all(socket: ServerConnection) -> None:
            async for text in socket:
                with suppress(ValueError, TypeError, AttributeError):
                    told = json.loads(text)
                    await socket.send(phoenix.Frame(told["topic"], "x", ref=told["ref"]).reply({}).text())

        async with serve(_answer_all, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            return await kit.check(kit.Gateway(f"ws://127.0.0.1:{port}", "a.permit.of-anybody", "w-1"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit, "STORM", 2.0)
        found = asyncio.run(_check())
    assert {name for name, wrong in found.items() if not wrong} == {
        "who has a permit is let in",
        "what is no message harms nobody",
    }


def test_presence_is_heard_with_the_official_client(system: System) -> None:
    """As at a deployment that keeps no registry: what the listener knows, it knows from Presence."""
    key = permits.issue(Permit("listener", "planner", "w-1"))
    words = ("-m", "tests.acceptance.wedops", "listen", "--url", f"{system.gateway}", "--wedding", "w-1")
    with running(*words, SUPABASE_KEY=key), ExitStack() as stack:
        stack.enter_context(_official(system, "eve"))
        fred = stack.enter_context(_official(system, "fred"))
        assert eventually(lambda: presence.of("w-1") == {"eve": "vendor", "fred": "vendor"}, within=40), (
            presence.of("w-1")
        )
        fred.kill()
        assert eventually(lambda: presence.of("w-1") == {"eve": "vendor"}, within=40)
        assert {"eve", "listener"} <= set(upkeep.presence("w-1").users)


def test_who_may_not_come_in_is_told_why_and_counted_and_the_registry_stays_whole(system: System) -> None:
    guest = Permit("dora", "guest", "w-1")
    sound = permits.issue(guest)
    knocks = {
        "token_missing": _probe(system, ""),
        "token_invalid": _probe(system, sound[:-3] + "AAA"),
        "token_expired": _probe(system, permits.issue(guest, valid_for=timedelta(minutes=-2))),
        "wrong_wedding": _probe(system, sound, wedding_id="w-2"),
        "backup_not_allowed": _probe(system, sound, backup="1"),
    }
    statuses = {reason: (status, body["reason"]) for reason, (status, body, _) in knocks.items()}
    assert statuses == {reason: (403 if "token" not in reason else 401, reason) for reason in knocks}
    for bad in (
        {"device": "watch"},
        {"region": "a{b}"},
        {"region": "atlantis"},
        {"vsn": "x" * 129},
        {"channels": "timeline:w-1,a\nb:w-1"},
    ):
        status, body, _ = _probe(system, sound, **bad)
        assert (status, body["reason"]) == (400, "invalid")
        assert next(iter(bad)).replace("vsn", "api_version") in str(body["detail"])
    url = f"http://127.0.0.1:{os.environ['API_PORT']}/metrics"
    for reason in (*knocks, "invalid"):
        counted = f'wedops_refusals_total{{reason="{reason}",what="connection"}}'
        assert eventually(lambda text=counted: text in httpx.get(url).text, within=30), reason  # type: ignore[misc]
    assert upkeep.audit().drifts == []


def test_compression_is_agreed_on_with_those_whose_level_says_so(system: System) -> None:
    people = count()

    def _agreed(user_type: str, device: str) -> bool:
        # Each try is another person's: nobody may try as often as this.
        words = {
            "apikey": permits.issue(Permit(f"z-{next(people)}", user_type, "w-1")),
            "region": "us-south",
            "device": device,
        }
        try:
            with connect(f"{system.gateway}/websocket?{urlencode(words)}") as socket:
                assert socket.response
                return "permessage-deflate" in socket.response.headers.get("Sec-WebSocket-Extensions", "")
        except InvalidStatus:
            return False

    assert eventually(lambda: _agreed("guest", "mobile"), within=120)
    assert not _agreed("couple", "fixed")


@pytest.mark.parametrize("loader", [(), ("--import", "tsx")], ids=["node", "tsx, as Node 20 needs it"])
def test_the_typescript_example_does_what_the_guide_says(system: System, loader: tuple[str, ...]) -> None:
    node, script = javascript.prepare(ROOT / "demo/typescript/gateway.ts")
    command = [node, *loader, script]
    done = subprocess.run(
        command, cwd=javascript.HOME, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ref"] == "w-17/u-ts/ts-1"
    assert said["unknown"] == []
    assert said["subscribed"] == {
        "timeline": {"ok": ["timeline:w-17"]},
        "?": {"refused": [["not a channel", "invalid"]]},
    }
    assert said["route"]["url"] == "ws://127.0.0.1:4001/socket"
    assert said["refused"].startswith("REFUSED id must be")
    assert said["closed"] == 1
    assert not any(
        one.name.startswith("node-") and one.url == "ws://127.0.0.1:4001/socket" for one in balancing.nodes()
    )


def test_the_probe_makes_a_real_round_trip_and_says_when_there_is_none(system: System) -> None:
    assert eventually(lambda: system.gateway in {node.url for node in balancing.nodes()}, within=30)
    node = next(node for node in balancing.nodes() if node.url == system.gateway)
    seconds = round_trip(node)
    assert seconds is not None
    assert 0 < seconds < 3
    assert round_trip(replace(node, url="ws://127.0.0.1:9/socket")) is None
    assert round_trip(replace(node, region="us-nowhere")) is None, "a gateway that refuses is no gateway"


def test_a_killed_nodes_people_are_back_on_others_with_their_wedding(system: System) -> None:
    url = f"http://127.0.0.1:{os.environ['API_PORT']}/v1/route"
    with ExitStack() as stack:
        gateways = {}
        for name in NODES:
            settings = {
                "GATEWAY_PORT": str(servers.free_port()),
                "GATEWAY_NODE": name,
                "GATEWAY_REGIONS": "us-lost",
            }
            gateways[name] = stack.enter_context(running("-m", "demo.gateway", **settings))
        assert eventually(lambda: set(NODES) <= {node.name for node in balancing.nodes()}, within=30)
        for number in range(12):
            user_type = "couple" if number == 0 else "guest"
            permit = permits.issue(Permit(f"r{number}", user_type, f"lost-{number % 3}"))
            stack.enter_context(running("-m", "tests.acceptance.wanderer", url, permit, "us-lost"))
            # A few at a time: a machine that starts a dozen at once starves its gateways.
            if number % 3 == 2:
                assert eventually(lambda many=number + 1: len(_where()) == many, within=60), _where()  # type: ignore[misc]
        before = _where()
        assert len({before[f"r{number}"] for number in range(0, 12, 3)}) == 1
        lost = before["r0"]
        gateways[lost].kill()
        gateways[lost].wait()
        assert eventually(lambda: len(_where()) == 12 and lost not in _where().values(), within=20), _where()
        after = _where()
    for number in range(12):
        if before[f"r{number}"] != lost:
            assert after[f"r{number}"] == before[f"r{number}"]
    for wedding in range(3):
        assert len({after[f"r{number}"] for number in range(wedding, 12, 3)}) == 1
    assert eventually(lambda: balancing.out() >= {lost}, within=20)
    assert redis.connections().hget(f"{registry.shards()[0]}:limits", f"out:{lost}") == "1"


def test_official_clients_come_back_by_themselves_and_hold_no_place_twice(system: System) -> None:
    """As under a supervisor: the gateway is back at the same address, by another name."""
    port = str(servers.free_port())
    url = f"ws://127.0.0.1:{port}/socket"
    same = {"GATEWAY_PORT": port, "GATEWAY_REGIONS": "us-south"}
    with ExitStack() as stack:
        first = stack.enter_context(running("-m", "demo.gateway", **same))
        here = f"-{port}-"
        assert eventually(lambda: any(here in node.name for node in balancing.nodes()), within=30)
        words = [sys.executable, "-m", "tests.acceptance.person", url, "us-south", "stay", "gina", "back"]
        people = [
            stack.enter_context(one)
            for one in (person(words), _javascript(System(system.folder, url), "hugo"))
        ]
        assert [said(one) for one in people] == ["joined", "joined"]
        before = {user: _ids_of(user) for user in ("gina", "hugo")}
        first.kill()
        first.wait()
        stack.enter_context(running("-m", "demo.gateway", **same))
        for user, [old] in before.items():
            assert eventually(lambda user=user, old=old: _ids_of(user) - {old}, within=60), user  # type: ignore[misc]
            assert eventually(lambda user=user: len(_ids_of(user)) == 1, within=60), user  # type: ignore[misc]
        # It joined its channel anew, after it said what it met meanwhile.
        assert any(said(people[1]) == "joined" for _ in range(5))


def test_a_tenants_limit_is_set_live_drops_nobody_and_is_read_back(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, api = (str(servers.free_port()) for _ in range(2))
    secret = "of-the-tenants-api-and-long-enough-for-it"
    node = {
        "GATEWAY_PORT": port,
        "GATEWAY_NODE": "node-tenant",
        "GATEWAY_API_PORT": api,
        "GATEWAY_API_JWT_SECRET": secret,
    }
    monkeypatch.setenv("SUPABASE_API_URL", f"http://127.0.0.1:{api}")
    monkeypatch.setenv("SUPABASE_API_JWT_SECRET", secret)
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "1")
    action = Action(1, "us-south", Resource.INSTANCES, 2, 1, "demand", State.APPROVED, clock.now(), "test")
    there = System(system.folder, f"ws://127.0.0.1:{port}/socket")
    with pytest.raises(ActuatorUnreachable, match="supabase does not answer"):
        SupabaseTenant().seen(action)
    with ExitStack() as stack:
        stack.enter_context(running("-m", "demo.gateway", **node))
        assert eventually(lambda: "node-tenant" in {one.name for one in balancing.nodes()}, within=30)
        for one in (_official(there, "ida"), _javascript(there, "jon")):
            assert said(stack.enter_context(one)) == "joined"
        tenant = SupabaseTenant()
        assert tenant.apply(action, dry_run=True) == "tenant realtime: max_concurrent_users=1"
        assert tenant.seen(action) == 1_000_000
        tenant.apply(action)
        assert tenant.seen(action) == 1
        assert _probe(there, permits.issue(Permit("kai", "guest", "w-1")))[0] == 429
        assert all(eventually(lambda user=user: _ids_of(user)) for user in ("ida", "jon")), (
            "who is there stays"
        )  # type: ignore[misc]
        tenant.apply(replace(action, to=5))
        assert eventually(lambda: _probe(there, permits.issue(Permit("kai", "guest", "w-1")))[0] == 101)
        monkeypatch.setenv("SUPABASE_TENANT", "another")
        with pytest.raises(ActuatorRefused, match="answered 404"):
            tenant.seen(action)
        monkeypatch.setenv("SUPABASE_API_JWT_SECRET", "of-another-deployment-that-is-not-this-one")
        monkeypatch.delenv("SUPABASE_TENANT")
        with pytest.raises(ActuatorRefused, match="answered 403; see SUPABASE_API_URL"):
            tenant.apply(action)


def test_who_joined_ops_alerts_hears_of_each_change_once_and_at_once(system: System) -> None:
    breach = Breach(Kind.CACHE, "live", Severity.HIGH, 1, "redis://:hunter2@cache is away")
    opening = alerts_rules.Change(
        None, alerts_rules.State.FIRING, alerts_rules.Reason.ABOVE_THRESHOLD, breach
    )
    heard = list[dict[str, Any]]()

    def _open() -> None:
        with database.transaction() as db:
            moves.apply_changes(db, [opening], at=clock.now(), flapping_within=timedelta(0))

    async def _listen() -> None:
        permit = permits.issue(Permit("operator", "planner", "ops"))
        client = AsyncRealtimeClient(system.gateway, permit, auto_reconnect=False)
        await client.connect()
        channel = client.channel("ops:alerts")
        channel.on_broadcast("alert", lambda message: heard.append(message["payload"]))
        await channel.subscribe()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(_open)
        await asyncio.sleep(4)
        await client.close()

    asyncio.run(_listen())
    ours = [one for one in heard if one["subject"] == "live" and one["state"] == "firing"]
    assert [(one["kind"], one["reason"], one["detail"]) for one in ours] == [
        ("cache", "above_threshold", "redis://…@cache is away")
    ]


def _ids_of(user: str) -> set[str]:
    return {known["id"] for known in registry.connections_of("w-1", user)}


def _where() -> dict[str, str]:
    """Return on which node each wandering person's living connection is."""
    found = {}
    for wedding in range(3):
        for user in upkeep.presence(f"lost-{wedding}").users:
            for known in registry.connections_of(f"lost-{wedding}", user):
                if known["node"] not in balancing.out():
                    found[user] = known["node"]
    return found
