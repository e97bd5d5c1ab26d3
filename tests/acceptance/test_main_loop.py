"""Connections → state → beat → workers → actions and alerts, with real processes and clients."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.conftest import Query, System, person, said
from tests.made import eventually
from workers.connections.formats import permits
from workers.connections.store import modes, registry
from workers.foundation import clock, dead_letters, jobs, redis

pytestmark = [pytest.mark.xdist_group("system"), pytest.mark.timeout(300)]


@contextmanager
def _person(system: System, what: str, region: str = "us-northeast") -> Iterator["subprocess.Popen[str]"]:
    words = [sys.executable, "-m", "tests.acceptance.person", system.gateway, region, what]
    with person(words) as process:
        assert said(process) == "joined"
        yield process


def test_a_wedding_two_hours_ahead_is_scaled_up_for_and_the_gateway_confirms(
    system: System, rows: Query
) -> None:
    query = (
        "SELECT reason, state, from_value, to_value FROM scaling_actions WHERE region = 'us-northeast' ORDER "
        "BY id DESC LIMIT 1"
    )
    assert eventually(lambda: [row[1] for row in rows(query)] == ["confirmed"], within=60), rows(query)
    [(reason, _, before, to)] = rows(query)
    assert (reason, before) == ("ceremony_ahead", 2)
    assert isinstance(to, int)
    assert to > 2
    [told] = {
        name: redis.registry().hget("wedops:desired:us-northeast", name) for name in ["connection_limit"]
    }.values()
    assert int(told) == to * 10


def test_it_is_warmed_up_for_once(rows: Query, system: System) -> None:
    query = "SELECT wedding_id, kind FROM optimization_results WHERE kind = 'warm_up' AND actions > 0"
    assert eventually(lambda: rows(query), within=60)
    assert rows(query) == [("w-1", "warm_up")]


def test_a_client_joins_hears_broadcasts_is_killed_swept_and_counted(system: System, rows: Query) -> None:
    with _person(system, "listen") as listener, _person(system, "talk"):
        assert registry.total() == 2
        assert said(listener) == "heard"
        assert eventually(
            lambda: rows(
                "SELECT 1 FROM connection_metrics WHERE connections = 2 AND messages > 0 AND p95_ms IS NOT "
                "NULL"
            ),
            within=30,
        )
    # Both were killed without a goodbye: one sweep (10 s on a wedding day) ends them, one snapshot says so.
    assert eventually(lambda: registry.total() == 0, within=25)
    assert eventually(lambda: rows("SELECT sum(swept) FROM connection_metrics") == [(2,)], within=25)
    assert rows(
        "SELECT connections FROM connection_metrics WHERE region = 'us-northeast' ORDER BY at DESC LIMIT 1"
    ) == [(0,)]


def test_latency_rises_is_answered_measured_recovers_is_undone_and_resolved(
    system: System, rows: Query
) -> None:
    """The story of docs/guides/degradation.md."""
    query = (
        "SELECT state, severity FROM performance_alerts WHERE kind = 'response_time' AND subject = 'us-west'"
    )
    done = (
        "SELECT action, outcome, before > 2000, undone_at IS NOT NULL FROM degradation_responses ORDER BY id"
    )
    with _person(system, "slow", region="us-west"):
        assert eventually(lambda: rows(query) == [("firing", "critical")], within=60), rows(query)
        assert eventually(lambda: [row[0] for row in rows(done)][:1] == ["emergency_mode"], within=30), rows(
            done
        )
        assert modes.active()
        # Its effect is measured, it is no better, more is done; later checks see the alert again and open no
        # other.
        assert eventually(
            lambda: [row[:2] for row in rows(done)][:1] == [("emergency_mode", "no_better")], within=40
        ), rows(done)
        assert eventually(
            lambda: [row[0] for row in rows(done)][:2] == ["emergency_mode", "scale"], within=30
        ), rows(done)
        assert rows(query) == [("firing", "critical")]
    assert eventually(lambda: all(undone for *_, undone in rows(done)), within=60), rows(done)
    assert not modes.active()
    assert eventually(lambda: [row[0] for row in rows(query)] == ["resolved"], within=90), rows(query)
    sent = (
        "SELECT n.step FROM notification_log n JOIN performance_alerts a ON a.id = n.alert_id "
        "JOIN outbox m ON m.key = n.message "
        "WHERE a.kind = 'response_time' AND a.subject = 'us-west' AND m.state = 'sent' ORDER BY n.at"
    )
    assert eventually(lambda: ("end",) in rows(sent), within=30), rows(sent)
    told = [str(step) for (step,) in rows(sent)]
    assert told[0] == "1.1"
    assert told[-1] == "end"
    assert len(told) == len(set(told))


def _nonsense() -> list[str]:
    """Return what is no task message, from plain garbage to a message with one field spoilt."""
    properties = {
        "delivery_tag": "t",
        "delivery_info": {"exchange": "", "routing_key": "emergency"},
        "body_encoding": "base64",
    }
    headers = {"lang": "py", "task": "emergencies.open", "id": "i", "argsrepr": "", "kwargsrepr": ""}
    sound = {"body": "W1tdLCB7fSwge31d", "content-type": "application/json", "content-encoding": "utf-8"}
    spoilt: list[dict[str, object]] = [
        {"body": "!!!!"},
        {"body": "W10="},
        {"properties": []},
        {"headers": headers | {"task": ["a"]}},
        {"headers": headers | {"id": [1]}},
        {"headers": headers | {"timelimit": ["a", "b"]}},
        {"headers": headers | {"eta": ""}},
        {"headers": headers | {"expires": "tomorrow"}},
        {"headers": headers | {"eta": "2099-01-01T00:00:00Z"}},
        {"headers": headers | {"retries": "many"}},
        {"headers": headers | {"compression": "application/x-gzip"}},
        {"content-encoding": "rot13"},
        {"content-encoding": "zlib"},
        {"content-type": "application/x-python-serialize"},
        {"body": base64.b64encode(b"[" * 100_000).decode()},
        {"body": base64.b64encode(b'{"a":' * 50_000).decode(), "headers": {}},
        {"body": "A" * 2_000_000},
        {"body": 7},
        *({"headers": {}, "body": _body(**one)} for one in _SPOILT_BODIES),
    ]
    whole = sound | {"headers": headers, "properties": properties}
    return ["this is no message", "", "5", "[]", *(json.dumps(whole | one) for one in spoilt)]


#: Protocol 1 has its options in the body.
_SPOILT_BODIES: tuple[dict[str, object], ...] = (
    {"eta": ""}, {"expires": ""}, {"timelimit": "5"}, {"timelimit": ["5", None]}, {"timelimit": [-1, 5]},
    {"kwargs": [1]},
    {"args": 5}, {"id": 7}, {"retries": "x"}, {"eta": "2099-01-01T00:00:00"}, {"kwargs": "[" * 50_000},
)  # fmt: skip


def _body(**facts: object) -> str:
    sound = {"task": "emergencies.open", "id": "i", "args": [], "kwargs": {"kind": "flood"}}
    return base64.b64encode(json.dumps(sound | facts).encode()).decode()


def test_messages_that_make_no_sense_are_refused_and_the_workers_go_on(system: System, rows: Query) -> None:
    from workers.app import app

    app.send_task("emergencies.open", kwargs={"kind": "flood"})
    app.send_task("emergencies.open", args=["positional"], kwargs={"kind": "venue", "wedding_id": "w-404"})
    app.send_task("emergencies.open", kwargs={"kind": "venue", "wedding_id": "w-404"})
    app.send_task("emergencies.no_such_task", queue="emergency")
    before = system.pid("-Q emergency")
    for nonsense in _nonsense():
        redis.registry().lpush("emergency", nonsense)
    assert eventually(lambda: "kind='flood': Input should be" in system.log("worker-emergency"), within=30)
    assert eventually(
        lambda: "wedding_id='w-404' is not in the calendar; import it first" in system.log("worker-emergency")
    )
    assert eventually(lambda: "there is no such task" in system.log("worker-emergency"), within=30)
    app.send_task(
        "emergencies.open", kwargs={"kind": "venue", "wedding_id": "w-1", "request_key": "after-the-nonsense"}
    )
    assert eventually(lambda: rows("SELECT 1 FROM emergencies WHERE key = 'after-the-nonsense'"), within=30)
    assert system.pid("-Q emergency") == before
    assert eventually(lambda: jobs.tallies()["messages_refused"] >= len(_nonsense()))
    # Each is kept with its reason; one that is mended is sent again, and taken then.
    letters = dead_letters.newest(200)
    reasons = {one.reason for one in letters}
    assert {
        "there is no such task",
        "headers.compression is not taken here; send the body as it is",
    } <= reasons
    again = next(one for one in letters if one.reason == "there is no such task")
    assert dead_letters.replay(again.id).queue == "emergency"
    assert eventually(lambda: dead_letters.newest(1)[0].reason == "there is no such task")
    assert all(again.id != one.id for one in dead_letters.newest(200))
    assert system.pid("-Q emergency") == before


def test_a_job_that_waited_past_its_time_is_dropped_and_counted(system: System) -> None:
    from workers.app import app

    before = jobs.tallies().get("jobs_late", 0)
    header = {"name": "connections.sweep", "due": clock.epoch() - 60}
    app.send_task("connections.sweep", headers={"job": header}, expires=-30)
    assert eventually(lambda: jobs.tallies().get("jobs_late", 0) == before + 1, within=20)
    assert [record.late for record in jobs.records() if record.name == "connections.sweep"] == [before + 1]


def test_the_gateway_obeys_the_connection_limit_and_says_so(system: System) -> None:
    def probe() -> int:
        permit = permits.issue(permits.Permit("u9", "guest", "w-1"))
        words = {"apikey": permit, "region": "us-south"}
        try:
            with connect(f"{system.gateway}/websocket?{urlencode(words)}") as socket:
                return socket.response.status_code if socket.response else 0
        except InvalidStatus as refused:
            return refused.response.status_code

    assert probe() == 101
    redis.registry().hset(
        "wedops:desired:us-south", mapping={"action": 7, "instances": 2, "connection_limit": 0}
    )
    redis.registry().publish("wedops:desired", "us-south")
    assert eventually(lambda: redis.registry().hvals("wedops:confirmed:us-south") == ["7"])
    assert probe() == 429
    redis.registry().hset("wedops:desired:us-south", mapping={"action": 8, "connection_limit": 20})
    assert eventually(lambda: probe() == 101)


def test_flower_is_closed_without_a_login_and_shows_the_workers_with_one(system: System) -> None:
    import httpx2 as httpx

    url = f"http://127.0.0.1:{os.environ['FLOWER_PORT']}"
    assert httpx.get(f"{url}/workers").status_code == 401
    assert eventually(
        lambda: "steady@" in httpx.get(f"{url}/workers", auth=("operator", "test")).text, within=30
    )


def test_prometheus_sees_what_prefork_workers_counted(system: System) -> None:
    import httpx2 as httpx

    url = f"http://127.0.0.1:{os.environ['API_PORT']}/metrics"
    assert eventually(
        lambda: 'wedops_tasks_total{outcome="ok",task="connections.sweep"}' in httpx.get(url).text, within=30
    )
