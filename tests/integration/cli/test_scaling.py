"""`wedops scaling`, `forecast`, `plan day`, `replay` and `simulate`, as an operator types them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.made import due_now, scaled, wedding
from workers.cli.main import wedops
from workers.connections import keys
from workers.forecasting import tasks as forecasting
from workers.foundation import clock, database, redis
from workers.scaling import tasks
from workers.scaling.rules.decision import Purpose
from workers.scaling.rules.orders import Kind as OrderKind
from workers.scaling.rules.orders import Order
from workers.scaling.store import orders
from workers.snapshots import store as snapshots
from workers.snapshots.rules import Snapshot
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")
REGION = "us-northeast"


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, list(words))


@pytest.fixture(autouse=True)
def _a_calendar(world: object) -> None:
    soon = clock.now() + timedelta(hours=3)
    with database.transaction() as db:
        weddings.upsert(
            db,
            [wedding(f"w-{one}", starts_at=soon, guest_count=200) for one in range(3)],
            at=soon - timedelta(days=30),
        )


def _action(**facts: Any) -> int:
    with database.transaction() as db:
        return scaled(db, at=clock.now(), **facts)


def test_a_region_is_let_act_held_and_resumed_and_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_NEW_REGIONS", "shadow")
    assert "us-northeast    shadow" in _run("scaling", "show").output
    assert "only watched: us-northeast, everywhere" in _run("status").output
    assert _run("scaling", "live", REGION).exit_code == 2, "a reason is asked for"
    assert "us-northeast acts" in _run("scaling", "live", REGION, "--reason", "compared for a week").output
    shown = json.loads(_run("scaling", "show", "--json").output)["regions"]
    assert {row["region"]: row["mode"] for row in shown} == {REGION: "live", "everywhere": "shadow"}
    assert "Missing option '--for'" in _run("scaling", "suspend", "in", REGION, "--reason", "a deploy").output
    assert _run("scaling", "hold", "both", REGION, "--for", "2h", "--reason", "a deploy").exit_code == 0
    assert "name a region that acts" in str(
        _run("scaling", "emergency", "everywhere", "--reason", "x").exception
    )
    assert "gets 10 instances at least" in _run("scaling", "emergency", REGION, "--reason", "a storm").output
    assert "suspend_scale_out until" in _run("scaling", "show").output
    [held] = [
        row
        for row in json.loads(_run("scaling", "show", "--json").output)["regions"]
        if row["region"] == REGION
    ]
    assert {order["kind"] for order in held["orders"]} == {
        "live",
        "suspend_scale_in",
        "suspend_scale_out",
        "emergency",
    }
    assert held["has"]["instances"] == {"wanted": None, "state": None, "seen": {}, "problem": None}
    assert "3 order(s) of us-northeast ended" in _run("scaling", "resume", REGION).output
    audit = _run("scaling", "audit").output
    assert audit.count(", ended ") == 3
    assert "compared for a week" in audit
    assert "region 'nowhere' has no weddings" in str(
        _run("scaling", "live", "nowhere", "--reason", "x").exception
    )
    for lasts in ("soon", "0s", "99999d"):
        assert _run("scaling", "shadow", REGION, "--for", lasts, "--reason", "x").exit_code == 2
    assert _run("scaling", "live", REGION, "--reason", "  ").exit_code == 2
    assert "10 instances are the cap" in str(
        _run("scaling", "emergency", REGION, "--to", "50", "--reason", "x").exception
    )
    assert "has no weddings" in str(_run("scaling", "resume", "nowhere").exception)


def test_why_an_action_was_taken_is_told_from_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "40")
    forecasting.refresh()
    with database.transaction() as db:
        given = Order(
            REGION, OrderKind.SUSPEND_SCALE_IN, "the mayor comes", "ops", clock.now() - timedelta(minutes=1)
        )
        orders.give(db, given)
    _measured()
    tasks.decide()
    shown = json.loads(_run("scaling", "actions", "--json").output)["actions"]
    [(id, to)] = [
        (one["id"], one["to"]) for one in shown if one["resource"] == "instances" and one["purpose"] == "act"
    ]
    said = _run("scaling", "why", str(id)).output
    assert f"action {id}, " in said
    assert f"instances of us-northeast 2 → {to} (ceremony_ahead)" in said
    assert "  applied 20" in said
    assert "asked for: " in said
    assert "bounds: 2 to 10, with approval 20" in said
    assert "ordered then: suspend_scale_in by ops: the mayor comes" in said
    assert "kept from scaling in by: paused" in said
    found = json.loads(_run("scaling", "why", str(id), "--json").output)
    assert (
        found["action"]["to"],
        found["why"]["cap"],
        found["made_from"]["policy"]["connections_per_instance"],
    ) == (
        to,
        10,
        40,
    )
    assert set(found["made_from"]["reading"]["quantiles"]) == {"p10", "p50", "p90", "p99"}
    assert any(one["if_"] == "nothing had been forecast" for one in found["why"]["otherwise"])
    old = _action(to=5, expected_previous_id=id, inputs={"load": 812.5})
    assert (
        "an earlier version decided it and kept only: load=812.5" in _run("scaling", "why", str(old)).output
    )
    assert "there is no action 9999" in str(_run("scaling", "why", "9999").exception)


def test_a_proposal_is_approved_or_rejected_once() -> None:
    first = _action(purpose=Purpose.ABOVE_CAP, to=14)
    status = json.loads(_run("status", "--json").output)
    assert any("14 instances of us-northeast wait for approval" in why for why in status["why"])
    assert "up to 14 until" in _run("scaling", "approve", str(first), "--for", "6h").output
    assert "no proposal 1 waits to be settled" in str(_run("scaling", "reject", str(first)).exception)
    second = _action(purpose=Purpose.ABOVE_CAP, to=15, expected_previous_id=first)
    assert "stays within its cap" in _run("scaling", "reject", str(second)).output
    assert "rejected" in _run("scaling", "actions").output
    listed = json.loads(_run("scaling", "actions", "--json").output)["actions"]
    assert [(one["id"], one["state"], one["to"]) for one in listed] == [
        (second, "rejected", 15),
        (first, "approved", 14),
    ]
    audit = _run("scaling", "audit").output.splitlines()
    assert f"rejected           action {second}, instances up to 15" in audit[0]
    assert f"approved           action {first}, instances up to 14 until" in audit[1]
    assert [one["id"] for one in json.loads(_run("scaling", "audit", "--json").output)["settled"]] == [
        second,
        first,
    ]
    assert "approved: instances of us-northeast up to 14" in _run("scaling", "show").output


def test_an_actuator_says_what_it_would_do() -> None:
    assert (
        "valkey: has 256; CONFIG SET maxmemory 512mb"
        in _run("scaling", "try", "cache_mb", "everywhere", "512").output
    )
    assert "has no actuator" in _run("scaling", "try", "database_connections", "everywhere", "30").output
    assert "must be from 256 to 1024" in _run("scaling", "try", "cache_mb", "everywhere", "0").output
    assert "has no weddings" in str(_run("scaling", "try", "instances", "nowhere", "4").exception)
    assert (
        "all regions share cache_mb: name everywhere"
        in _run("scaling", "try", "cache_mb", REGION, "512").output
    )
    assert "gateways: has None;" in _run("scaling", "try", "instances", REGION, "4").output
    id = _action(to=5)
    _verify()
    redis.registry().hset(keys.CONFIRMED + REGION, "gateway-1", id)
    assert "gateways: has 5;" in _run("scaling", "try", "instances", REGION, "4").output


def _measured() -> None:
    now = clock.now()
    with database.transaction() as db:
        rows = [
            Snapshot(REGION, now - timedelta(minutes=one), 300 + one % 60) for one in range(3 * 1440, 0, -5)
        ]
        snapshots.append(db, rows)


def test_regret_and_replay_say_how_it_would_have_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLOOK_EVERY", "20")
    assert "was not measured in the last 7 days" in _run("scaling", "regret", REGION).output
    assert "was not measured" in str(_run("replay", REGION).exception)
    assert "has no weddings" in str(_run("replay", "nowhere").exception)
    _measured()
    assert "short 0.000 % of the time" in _run("scaling", "regret", REGION).output
    assert json.loads(_run("scaling", "regret", REGION, "--json").output)["outcome"]["short"] == 0.0
    picture = tmp_path / "day.svg"
    done = _run("replay", REGION, "--json", "--picture", str(picture))
    found = json.loads(done.output)["regions"][REGION]
    assert (found["short"], found["needed"], done.exit_code) == (0.0, 2, 0)
    assert picture.read_text().startswith("<?xml")
    assert _run("replay", "--short-most", "0").exit_code == 0
    # With room for ten each, they are short now and then, and cost more than who knows all.
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "40")
    assert _run("replay", "--cost-most", "1.0").exit_code == 3
    monkeypatch.setenv("SCALING_INSTANCES_MAX", "4")
    assert _run("replay", "--short-most", "0").exit_code == 3
    start = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%d")
    assert _run("replay", REGION, "--from", start).exit_code == 2
    assert _run("replay", "--picture", str(picture)).exit_code == 2


def test_a_forecast_is_shown_drawn_and_judged(tmp_path: Path) -> None:
    assert "has no forecast" in str(_run("forecast", "show", REGION).exception)
    _measured()
    forecasting.refresh()
    picture = tmp_path / "band.png"
    shown = _run("forecast", "show", REGION, "--picture", str(picture), "--json")
    hours = json.loads(shown.output)["hours"]
    assert len(hours) == 24
    busiest = max(hours, key=lambda row: row["p50"])
    assert busiest["p10"] < busiest["p50"] < busiest["p90"] < busiest["p99"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "times what the calendar says" in _run("forecast", "show", REGION).output
    assert "name a file that ends in .png or .svg" in str(
        _run("forecast", "show", REGION, "--picture", "x.gif").exception
    )
    assert "nothing to compare yet" in _run("forecast", "backtest").output
    forecasting.evaluate()
    forecasting.learn()


def test_a_day_is_planned_by_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as db:
        day = weddings.by_id(db, ["w-0"])[0].starts_local.strftime("%Y-%m-%d")
    [found] = json.loads(_run("plan", "day", day, "--json").output)["regions"]
    assert (found["region"], found["weddings"], found["guests"]) == (REGION, 3, 600)
    assert max(hour["p50"] for hour in found["hours"]) == pytest.approx(
        3 * 200 * 0.45 + 3 * 2 * 0.7 + 9, abs=40
    )
    shown = _run("plan", "day", "2026-09-07").output
    assert "0 weddings, 0 guests" in shown
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "40")
    [found] = json.loads(_run("plan", "day", day, "--json").output)["regions"]
    busiest = max(found["hours"], key=lambda hour: hour["p99"])
    full = json.loads(_run("plan", "capacity", "--json").output)["full"]
    assert (
        busiest["instances"]
        < busiest["instances_p99"]
        == next(one["needed"] for one in full if one["day"] == day)
    )
    assert "Labor Day" in shown
    assert _run("plan", "day", "tomorrow").exit_code == 2
    assert "from 2000 to 2200" in _run("plan", "day", "9999-12-31").output


def test_the_same_seed_is_the_same_saturday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLOOK_EVERY", "30")
    words = (
        "simulate",
        "--saturday",
        "--day",
        "2026-10-31",
        "--x10",
        "--a-year",
        "1500",
        "--seed",
        "7",
        "--json",
    )
    first, second = _run(*words, "--picture", str(tmp_path / "saturday.png")), _run(*words)
    assert first.output == second.output
    for region in json.loads(first.output)["regions"].values():
        assert region["weddings"] > 10
        assert region["short"] <= 0.1
    # The weeks before it had many, the day has hardly any.
    quiet = json.loads(_run("simulate", "--day", "2020-01-01", "--json").output)["regions"]
    assert {one["weddings"] for one in quiet.values()} <= {0, 1}
    assert max(one["peak"] for one in quiet.values()) < 1000
    assert (tmp_path / "saturday.png").stat().st_size > 10_000
    assert _run("simulate", "--saturday", "--day", "2026-10-30").exit_code == 2


def _verify() -> None:
    due_now()
    tasks.verify()
