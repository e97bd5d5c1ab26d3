"""The operator's command."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests import ROOT
from tests.made import NOON, connection, wedding
from tests.unit.weddings.test_formats import GOOD, HEADER
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Change, Reason, State
from workers.alerts.store import moves
from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.cli import doctor
from workers.cli import main as cli
from workers.commands.store import requests as commands
from workers.connections.store import peaks, presence, registry
from workers.connections.usecases import service as usecases
from workers.foundation import clock, database, keys, redis
from workers.http.routes import api
from workers.seasons import store as seasons
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


def _run(*words: str) -> Result:
    return CliRunner().invoke(cli.wedops, words)


def _status() -> dict[str, Any]:
    done = _run("status", "--json")
    return {"exit": done.exit_code} | json.loads(done.output)


def _alert(severity: Severity) -> None:
    breach = Breach(
        Kind.RESPONSE_TIME, "east", severity, 2500, "95 % of round trips in east take up to 2,500 ms"
    )
    with database.transaction() as db:
        moves.apply_changes(
            db,
            [Change(None, State.FIRING, Reason.ABOVE_THRESHOLD, breach)],
            at=NOON,
            flapping_within=timedelta(),
        )


def test_without_weddings_and_nodes_it_is_idle() -> None:
    redis.registry().zadd(keys.BEATS, {"a-beat": clock.epoch()})
    idle = (
        "idle: no wedding is in the calendar (`wedops weddings import FILE`); no realtime node has reported"
    )
    assert (_status()["exit"], _status()["verdict"]) == (0, idle)


def test_healthy_is_0() -> None:
    redis.registry().zadd(keys.BEATS, {"a-beat": clock.epoch()})
    balancing.report(Report("n1", "us-northeast", "ws://n1", 1000, connections=0))
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=clock.now() + timedelta(days=30))], at=NOON)
    found = _status()
    assert (found["exit"], found["schema"], found["verdict"]) == (
        0,
        "wedops.status/2",
        "healthy: all jobs run, nothing waits, no alert",
    )


def test_degraded_is_3_and_critical_is_4_and_each_says_why() -> None:
    redis.registry().zadd(keys.BEATS, {"a-beat": clock.epoch()})
    _alert(Severity.MEDIUM)
    assert _status()["exit"] == 3
    redis.registry().delete(keys.BEATS)
    found = _status()
    assert found["exit"] == 4
    assert found["verdict"].startswith("critical: no beat runs: start one")
    assert "docs/runbooks/response_time.md" in found["verdict"]


def test_a_queue_that_breaks_its_promise_is_named_with_its_age() -> None:
    redis.registry().lpush(
        "emergency", json.dumps({"headers": {"enqueued_at": clock.epoch() - 90}}), "garbage"
    )
    found = _status()
    [queue] = [queue for queue in found["queues"] if queue["name"] == "emergency"]
    assert (queue["depth"], round(queue["oldest"], -1)) == (2, 90)
    assert found["exit"] == 4
    assert "queue emergency is 9" in found["verdict"]


@pytest.mark.parametrize("client", ["registry", "database"])
def test_unreachable_is_69(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    if client == "registry":
        monkeypatch.setenv("WEDOPS_BROKER_URL", "redis://127.0.0.1:1/0")
    else:
        monkeypatch.setenv("WEDOPS_DATABASE_URL", "postgresql://wedops@127.0.0.1:1/wedops")
    try:
        found = _status()
        ready = _ready()
    finally:
        monkeypatch.undo()
    assert found["exit"] == 69
    assert "does not answer" in found["verdict"]
    assert ready == (503, "broker" if client == "registry" else "database")


def _ready() -> tuple[int, str]:
    from fastapi.testclient import TestClient

    with TestClient(api) as web:
        answer = web.get("/healthz")
        assert answer.status_code == (200 if set(answer.json().values()) == {"ok"} else 503)
    return answer.status_code, ",".join(part for part, state in answer.json().items() if state != "ok")


def test_the_probes_and_metrics_tell_what_is() -> None:
    from fastapi.testclient import TestClient

    redis.registry().lpush("bulk", "x")
    assert _ready() == (200, "")
    with TestClient(api) as web:
        assert web.get("/livez").json() == {"status": "ok"}
        assert 'wedops_queue_depth{queue="bulk"} 1.0' in web.get("/metrics").text


def test_status_for_people_shows_what_is_there() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-77", starts_at=clock.now())], at=NOON)
    _alert(Severity.CRITICAL)
    shown = _run("status").output
    assert "critical" in shown
    assert "w-77" in shown


def test_a_calendar_is_imported_and_each_bad_row_named(tmp_path: Path) -> None:
    file = tmp_path / "season.csv"
    file.write_text(HEADER + GOOD + GOOD.replace("120", "-1").replace("w-1", "w-2"))
    done = _run("weddings", "import", str(file))
    assert done.exit_code == 2
    assert "line 3 (w-2): guest_count='-1' must be a whole number" in done.output
    assert "added 1, changed 0, unchanged 0, refused 1" in done.output
    strict = tmp_path / "strict.csv"
    strict.write_text(file.read_text().replace("w-1", "w-5"))
    assert "added" not in _run("weddings", "import", "--strict", str(strict)).output
    file.write_bytes(b"PK\x03\x04")
    assert "Excel workbook" in str(_run("weddings", "import", str(file)).exception)


def test_asking_for_an_emergency_says_what_became_of_it() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    assert _run("request", "emergency", "weather", "w-1", "--key", "k").output.startswith(
        "accepted: emergencies.open w-1, key k\n"
    )
    assert "not in the calendar" in str(_run("ask", "warm-up", "w-9").exception), "by the name of before"
    assert _run("request", "emergency", "flood", "w-1").exit_code == 2


def test_doctor_names_each_problem_with_its_remedy() -> None:
    client = redis.registry()
    client.function_flush()
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = _run("doctor")
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        redis.load_functions()
    assert done.exit_code == 1
    for remedy in (
        "CONFIG SET maxmemory-policy noeviction",
        "run `wedops migrate`",
        "see Procfile: -Q emergency",
        "no beat runs",
    ):
        assert remedy in done.output


def test_doctor_names_a_setting_of_the_outlook_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLOOK_QUANTILE", "1.5")
    assert "OUTLOOK_" in _run("doctor").output


def test_settings_that_could_not_work_are_found_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert doctor.unsound() == []
    monkeypatch.setenv("SCALING_INSTANCES_MIN", "0")
    monkeypatch.setenv("SCALING_INSTANCES_MAX", "8")
    monkeypatch.setenv("RETENTION_KEEP_DAYS", "7")
    monkeypatch.setenv("SCALING_INSTANCE_MAX", "20")
    monkeypatch.setenv("SCALING_ACTUATORS", "database_connections=pgbouncer")
    allowed = "instances_min must be from 1 to instances_max"
    assert doctor.unsound() == [
        f"SCALING_INSTANCES_MIN, SCALING_INSTANCES_MAX='0, 8': {allowed}",
        "RETENTION_KEEP_DAYS='7': keep_days must be from 35 to 36500",
        "PGBOUNCER_ADMIN_URL is not set, and SCALING_ACTUATORS names pgbouncer",
    ]
    assert "SCALING_INSTANCE_MAX is no setting; did you mean SCALING_INSTANCES_MAX?" in _run("doctor").output
    monkeypatch.setenv("WEDOPS_STATE", str(tmp_path))
    words = [sys.executable, "-c", "from workers.cli.main import main; main()", "up", "--seconds", "5"]
    refused = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        "wedops: nothing was started: SCALING_INSTANCES_MIN, SCALING_INSTANCES_MAX='0, 8'"
    )


def test_doctor_looks_at_a_server_of_the_connections_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # The cache's server stands in: it evicts.
    own = redis.cache_server()
    monkeypatch.setattr(redis, "keeping", lambda: {"broker": [redis.registry()], "connections": [own]})
    shown = _run("doctor").output
    assert "the server of connections evicts (allkeys-lfu): connections would vanish" in shown
    assert "the server of connections keeps nothing over a crash" in shown


def test_a_job_can_be_run_now_and_a_wrong_name_is_refused() -> None:
    assert "connections.sweep sent as" in _run("run", "connections.sweep").output
    assert redis.registry().llen("safety") == 1
    assert "none of" in _run("run", "connections.swep").output


@pytest.mark.parametrize(
    ("variable", "address", "command"),
    [
        ("WEDOPS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", ["weddings", "next"]),
        ("WEDOPS_BROKER_URL", "redis://127.0.0.1:1/0", ["dead-letters"]),
        ("WEDOPS_BROKER_URL", "redis://127.0.0.1:1/0", ["run", "connections.sweep"]),
    ],
)
def test_a_server_that_is_unavailable_has_an_exit_code_of_its_own(
    variable: str, address: str, command: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from workers.cli.main import main; main()", *command],
        env=os.environ | {variable: address}, capture_output=True, text=True, check=False, timeout=60,
        cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (69, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "does not answer" in done.stderr


def test_a_known_error_is_one_line_for_people(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["wedops", "request", "warm-up", "w-9"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("wedops: wedding_id='w-9' is not in the calendar")


def test_nodes_circuits_and_their_metrics_are_shown() -> None:
    from fastapi.testclient import TestClient

    assert "no node has reported" in _run("nodes").output
    balancing.report(Report("n1", "east", "ws://n1", 100, 7, cpu=0.25))
    assert "n1" in _run("nodes").output
    [row] = json.loads(_run("nodes", "--json").output)["nodes"]
    assert (row["name"], row["state"], row["connections"], row["capacity"]) == ("n1", "up", 7, 100)
    shown = TestClient(api).get("/metrics").text
    assert 'wedops_node_cpu{node="n1",region="east"} 0.25' in shown
    assert 'wedops_node_up{node="n1",region="east"} 1.0' in shown


def test_the_last_node_is_drained_only_when_meant() -> None:
    balancing.report(Report("n1", "east", "ws://n1", 100, 7))
    assert "only node" in _run("nodes", "drain", "n1").output
    assert balancing.drained() == set()
    assert "n1 is drained" in CliRunner().invoke(cli.wedops, ["nodes", "drain", "n1"], input="y\n").output
    assert any("no realtime node takes anybody" in why for why in _status()["why"])
    assert "takes people again" in _run("nodes", "undrain", "n1").output
    assert "no node 'n1'" in str(_run("nodes", "undrain", "n1").exception)


def test_a_peak_is_planned_and_begun() -> None:
    plan = json.loads(_run("plan", "peak", "--connections", "8000", "--hours", "6", "--json").output)
    assert (plan["schema"], plan["needed"], [step["step"] for step in plan["steps"]]) == (
        "wedops.peak/2", 9600, ["add_pools", "pre_warm", "clean_up"]
    )  # fmt: skip
    assert peaks.needed(clock.now()) == 0
    with database.transaction() as db:
        near = [
            wedding(f"w-{guests}", starts_at=clock.now(), guest_count=guests) for guests in (900, 1_500, 800)
        ]
        weddings.upsert(
            db,
            [*near, wedding("w-later", starts_at=clock.now() + timedelta(hours=7), guest_count=2_000)],
            at=NOON,
        )
    begun = json.loads(
        _run("plan", "peak", "--connections", "8000", "--hours", "6", "--begin", "--json").output
    )
    # 30 % of 9,600 connections: the largest weddings until then.
    assert begun["warmed"] == ["w-1500", "w-900", "w-800"]
    with database.transaction() as db:
        assert commands.waiting(db) == 3
    assert peaks.needed(clock.now()) == 9600
    assert seasons.kind_of_day(clock.now()) == "wedding_day"
    status = _status()
    assert (status["peak"], len(status["peak_until"])) == (9600, 25)
    assert any("no realtime node has reported" in why for why in status["why"])
    assert "is over" in _run("plan", "end-peak").output
    assert "no peak was" in _run("plan", "end-peak").output
    assert (peaks.needed(clock.now()), seasons.kind_of_day(clock.now())) == (0, "ordinary")
    assert (
        "3 wedding(s) are warmed"
        in _run("plan", "peak", "--connections", "8000", "--hours", "6", "--begin").output
    )
    assert _run("plan", "peak", "--connections", "0", "--hours", "6").exit_code == 2


def test_days_that_need_more_than_there_can_be_are_named_weeks_ahead() -> None:
    far = clock.now() + timedelta(days=40)
    with database.transaction() as db:
        crowd = [wedding(f"w-{number}", starts_at=far, guest_count=400) for number in range(60)]
        weddings.upsert(db, [*crowd, wedding("w-small", starts_at=far + timedelta(days=9))], at=NOON)
    done = _run("plan", "capacity", "--json")
    full = json.loads(done.output)["full"]
    assert {one["day"] for one in full} <= {
        f"{far + timedelta(hours=hours):%Y-%m-%d}" for hours in (-6, 0, 6, 12)
    }
    assert full[0]["needed"] > full[0]["max"] == 10
    assert done.exit_code == 3
    shown = _run("plan", "capacity", "--days", "30")
    assert (shown.exit_code, shown.output) == (
        0,
        "0 day(s) of 30 may need more than there can be\n",
    )


def test_a_supplier_gets_the_limit_of_its_plan() -> None:
    assert "every supplier may have 200" in _run("suppliers", "limits").output
    assert "s1 may have 400 connections" in _run("suppliers", "limit", "s1", "400").output
    assert "s1  400" in _run("suppliers", "limits").output
    assert "s1 may have 200 connections" in _run("suppliers", "limit", "s1", "0").output
    assert "every supplier may have 200" in _run("suppliers", "limits").output
    assert "must be from 200" in str(_run("suppliers", "limit", "s1", "3").exception)


def test_a_persons_connections_are_shown_with_their_quality_and_service() -> None:
    assert "is not connected" in _run("person", "w-1", "u1").output
    one = connection(channels=("timeline:w-1",))
    registry.open(one)
    registry.measure([registry.Measurement(one.ref, 48.0, 3)])
    usecases.publish_levels(now=clock.now())
    [shown] = json.loads(_run("person", "w-1", "u1", "--json").output)["connections"]
    assert (shown["node"], shown["rtt_ms"], shown["service"]["heartbeat_seconds"]) == ("n1", 48, 20)
    assert shown["score"] > 90
    assert "n1" in _run("person", "w-1", "u1").output


def test_a_permit_is_issued_and_read() -> None:
    token = _run("permit", "issue", "--user", "u1", "--type", "couple", "--wedding", "w-1").output.strip()
    assert json.loads(_run("permit", "read", token).output)["wedding_id"] == "w-1"
    assert "token_invalid" in str(_run("permit", "read", "nonsense").exception)
    assert "user_id must be 1-128 letters" in str(
        _run("permit", "issue", "--user", "a@b", "--type", "couple", "--wedding", "w-1").exception
    )


def test_who_is_online_is_shown_and_guests_give_way_when_asked() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=clock.now())], at=NOON)
    registry.open(connection())
    presence.note("w-1", {"u2": "vendor"})
    assert "1 guest" in _run("presence", "w-1").output
    assert json.loads(_run("presence", "w-1", "--json").output)["users"] == {"u1": "guest", "u2": "vendor"}
    assert "is not in the calendar" in str(_run("presence", "w-9").exception)
    assert _run("emergency-mode", "on").output == "emergency mode is on\n"
    assert "guests give way first" in _status()["verdict"]
    own = ("--wedding", "w-1", "--for", "30m", "--reason", "storm")
    assert _run("emergency-mode", "on", *own).output == "emergency mode is on for wedding:w-1\n"
    assert "wedding:w-1: by " in _run("emergency-mode", "show").output
    assert "wedops emergency-mode off --wedding w-1" in " ".join(_status()["why"])
    assert _run("emergency-mode", "on", "--wedding", "w-1", "--region", "east").exit_code == 2
    _run("emergency-mode", "off", "--wedding", "w-1")
    _run("emergency-mode", "off")
    assert _run("emergency-mode", "show").output == "guests give way nowhere\n"
    assert _run("listen", "--url", "ws://127.0.0.1:1").exit_code == 2


@pytest.mark.parametrize(
    "more",
    [["--weekly", "sat,sun 02:00-04:00 America/New_York", "--only", "no_wedding"], ["--subject", "us-*"], []],
)
def test_a_silence_is_asked_for_as_its_guide_writes_it(more: list[str]) -> None:
    done = _run("alerts", "silence", "--kind", "cpu", "--for", "7d", "--reason", "a weekly backup", *more)
    assert done.exit_code == 0, done.output
    assert "a weekly backup" in _run("alerts", "silences").output


def test_what_can_not_be_done_is_one_line_with_the_remedy() -> None:
    for words in (("request", "close", "99"), ("request", "close", "--wedding", "w-1")):
        refused = _run(*words)
        assert (refused.exit_code, "`wedops emergency list` shows" in str(refused.exception)) == (1, True)
    assert "--since" in _run("timeline", "--since", "2x").output
    # What only its caller knows can't be run by hand: nobody could say for which wedding.
    assert "is none of" in _run("run", "caching.warm_up").output
    assert _run("alerts", "reassign", "1", "--to", "operations").exception
    assert "is not active" in str(_run("alerts", "reassign", "1", "--to", "operations").exception)
