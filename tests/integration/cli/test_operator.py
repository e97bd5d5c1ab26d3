"""What somebody on call sees.

What is wrong, who is affected, what was done, what to do, also while a server is away.
"""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import orjson
import pytest
from click.testing import CliRunner
from rich.console import Console
from sqlalchemy import make_url

from tests.made import NOON, wedding
from workers import client
from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.store import alerts
from workers.alerts.usecases import escalation, evaluation
from workers.balancing import store as balancing
from workers.cli.main import wedops
from workers.cli.status import _show
from workers.connections.rules.revocations import Whose
from workers.connections.usecases import permits
from workers.connections.usecases import service as connections
from workers.emergencies import rules as protocols
from workers.emergencies.store import emergencies, steps
from workers.emergencies.tasks import open_emergency
from workers.foundation import clock, database, event_log, settings, waiting
from workers.measurements.rules.samples import Sample
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake
from workers.operations.status import gather
from workers.operations.verdict import Status
from workers.outbox import store as outbox
from workers.outbox.rules import Message
from workers.responses import store as responses
from workers.responses.rules import Action, Decision, Reason
from workers.selfwatch.rules import uninhibited
from workers.selfwatch.usecases import watching
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENDING_FOR", "RESOLVE_AFTER", "GROUP_WAIT"):
        monkeypatch.setenv(f"ALERTS_{name}", "0s")


def _run(*words: str) -> str:
    done = CliRunner().invoke(wedops, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


def _ceremony() -> Wedding:
    return wedding("w-1", starts_at=clock.now() - timedelta(minutes=10), guest_count=348)


SLOW = Breach(
    Kind.GUEST_LIST, "wedding:w-1/guest_list", Severity.CRITICAL, 1000.0,
    "348 of 348 loads of the guest list took longer than 1 s", "us-northeast", "w-1",
)  # fmt: skip
JITTER = Breach(Kind.ANOMALY, "guest_list_seconds{}", Severity.MEDIUM, 1.0, "a step", "us-northeast", "w-1")


def _trouble() -> None:
    """A ceremony whose guest list is slow: a step was taken, and an emergency opened."""
    policy = settings.read(Policy)
    with database.transaction() as db:
        weddings.upsert(db, [_ceremony()], at=clock.now())
        found = emergencies.open_or_join(db, key="k", kind="technical", wedding_id="w-1", at=clock.now())
        steps.write(db, found.id, protocols.DEFAULT["technical"], at=clock.now())
        emergencies.note(db, found.id, "opened", at=clock.now(), by="k")
    evaluation.reconcile([SLOW], Evaluator.MEASUREMENTS, policy, now=clock.now())
    with database.transaction() as db:
        escalation.escalate(db, policy, now=clock.now())
        [alert] = alerts.listed(db, ended=False)
        step = Decision(Reason.DEGRADED, take=Action.EMERGENCY_MODE, number=1)
        responses.take(db, alert, step, at=clock.now())
    facts = {"owner": "degradation", "reason": "slow", "lasts": timedelta(hours=1)}
    connections.begin_emergency_mode("everywhere", **facts, now=clock.now())


def test_status_says_what_is_wrong_who_is_affected_what_was_done_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNBOOK_URL", "https://wiki.example/runbooks/")
    _trouble()
    verdict = orjson.loads(_run("status", "--json"))["verdict"]
    assert "alert 1, critical: 348 of 348 loads of the guest list took longer than 1 s" in verdict
    assert "affects 348 people at 1 wedding (ceremony)" in verdict
    assert "done: emergency mode (acting)" in verdict
    assert re.search(
        r"technical emergency 1 at w-1 is open \(operations by \d\d:\d\dZ: see what is affected", verdict
    )
    assert "to do: https://wiki.example/runbooks/guest_list.md" in verdict
    assert "emergency mode is on, by degradation: guests give way first" in verdict


def test_a_page_says_the_same_and_how_to_take_it() -> None:
    _trouble()
    with database.transaction() as db:
        body = str(
            db.exec_driver_sql(
                "SELECT body ->> 'body' FROM outbox WHERE key LIKE 'alert/%%' LIMIT 1"
            ).scalar_one()
        )
    assert "alert 1 critical firing" in body
    assert "348 people at 1 wedding (ceremony)" in body
    assert "docs/runbooks/guest_list.md" in body
    assert "wedops alerts ack 1" in body


def test_the_timeline_tells_all_of_it_in_order() -> None:
    _trouble()
    event_log.note("process worker-steady hung and was restarted", by="supervisor")
    of = Whose.USER, "ada"
    permits.revoke(*of, by="ben", reason="lost phone", now=clock.now(), machine=clock.machine_now())
    permits.lift(*of, by="ben", now=clock.now())
    shown = _run("timeline", "--since", "30m")
    for what in (
        "emergency 1 (technical) at w-1 opened",
        "alert 1 critical firing",
        "alert 1: step 1, emergency_mode",
        "emergency mode on, 1:00:00 at most: slow  (degradation)",
        "process worker-steady hung and was restarted  (supervisor)",
        "permits of user ada revoked: lost phone  (ben)",
        "permits of user ada are good again  (ben)",
    ):
        assert what in shown
    lines = shown.splitlines()
    assert lines == sorted(lines, key=lambda line: line[:20])


def test_the_timeline_of_a_wedding_leaves_out_others() -> None:
    _trouble()
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-2", starts_at=clock.now() + timedelta(days=3))], at=clock.now())
        found = emergencies.open_or_join(db, key="k2", kind="venue", wedding_id="w-2", at=clock.now())
        emergencies.note(db, found.id, "opened", at=clock.now(), by="k2")
    shown = _run("timeline", "--wedding", "w-1")
    assert "at w-1 opened" in shown
    assert "at w-2" not in shown
    found = orjson.loads(_run("timeline", "--json"))
    assert found["schema"] == "wedops.timeline/1"
    assert found["missing"] == []


@pytest.fixture
def hanging() -> Iterator[int]:
    """Yield the port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def _hang(monkeypatch: pytest.MonkeyPatch, variable: str, port: int) -> None:
    monkeypatch.setattr(waiting, "_patience", 1.0)
    monkeypatch.setenv(
        variable, make_url(os.environ[variable]).set(port=port).render_as_string(hide_password=False)
    )


@pytest.mark.parametrize(
    ("variable", "known", "words"),
    [
        ("WEDOPS_DATABASE_URL", "emergency mode on", ("timeline",)),
        ("WEDOPS_BROKER_URL", "emergency 1 (technical) at w-1 opened", ("timeline",)),
        ("WEDOPS_BROKER_URL", "alert 1, critical", ("status", "--json")),
        ("WEDOPS_DATABASE_URL", "emergency mode is on, by degradation", ("status", "--json")),
        ("WEDOPS_DATABASE_URL", "broker ", ("doctor",)),
        ("WEDOPS_BROKER_URL", "database     fine", ("doctor",)),
    ],
)
def test_what_can_be_known_is_shown_while_a_server_hangs(
    monkeypatch: pytest.MonkeyPatch, hanging: int, variable: str, known: str, words: tuple[str, ...]
) -> None:
    _trouble()
    _hang(monkeypatch, variable, hanging)
    begun = clock.stopwatch()
    assert known in _run(*words)
    # Chosen above what it takes, for machines are busy; without a limit it would be some 20 s.
    assert clock.stopwatch() - begun < 8


def test_a_storm_without_a_database_is_told_by_its_cause_once_and_then_said_to_be_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        watching.adapters, "send", lambda _url, title, *_more, **_named: told.append(title) or True
    )
    watch = watching.Watch()
    storm = [
        Breach(Kind.JOB_STOPPED, f"job-{one}", Severity.CRITICAL, 1.0, "it fired and did not finish")
        for one in range(6)
    ]
    away = Breach(Kind.DATABASE, Kind.DATABASE, Severity.CRITICAL, 1.0, "the database does not answer")
    for _ in range(3):
        watch._publish_without_database(uninhibited([away, *storm], {Kind.DATABASE}))
    assert told == ["critical firing: database"]
    watch._publish_ends(set())
    assert told == ["critical firing: database", "resolved: database"]
    assert "notified operations without the database: resolved: database" in _run("timeline")


def test_who_is_only_about_to_start_is_not_missed() -> None:
    watching.Watch(settled_at=clock.stopwatch() + 60).look()
    assert "beat_stopped" not in _run("alerts", "list")
    watching.Watch().look()
    assert "beat_stopped" in _run("alerts", "list")


def test_a_node_that_will_not_come_back_is_forgotten_and_one_that_reports_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    balancing.report(balancing.Report("n1", "us-northeast", "ws://n1", 1000, connections=0))
    for node, says in (("n1", "node 'n1' reports; drain it"), ("n2", "no node 'n2' has reported")):
        assert says in str(CliRunner().invoke(wedops, ["nodes", "forget", node]).exception)
    monkeypatch.setattr(
        balancing,
        "nodes",
        lambda now=balancing.nodes: [replace(one, silent=timedelta(minutes=1)) for one in now()],
    )
    assert "n1 is forgotten" in _run("nodes", "forget", "n1")
    monkeypatch.undo()
    assert balancing.nodes() == []


def test_what_is_measured_and_not_rolled_up_yet_is_told_from_what_never_was() -> None:
    now = clock.machine_now()
    samples = [Sample("guest_list_seconds", (("region", "us-west"),), now.timestamp(), 0.5)]
    intake.take(samples, sent_by=intake.Source("test"), now=now)
    intake.write(Writer("test"))
    for series, says in (
        ("guest_list_seconds", "is measured, and nothing of the last 3 h is rolled up yet"),
        ("no_such", "nothing was measured"),
    ):
        done = CliRunner().invoke(wedops, ["metrics", "show", series])
        assert says in str(done.exception)


def test_eighty_columns_lose_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    _trouble()
    console = Console(width=80, file=StringIO())
    _show(_gathered(), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown
    [wedding] = _gathered().next_weddings
    assert all(
        part in shown.replace("\n", "").replace(" ", "") for part in wedding["starts_local"].split("T")
    )


def _gathered() -> Status:
    return gather(now=clock.now(), machine=clock.machine_now())


def test_a_message_that_is_given_up_says_which_wedding_lost_it_and_is_sent_again_by_its_id() -> None:
    message = Message("k", "notification", {}, wedding_id="w-7")
    with database.transaction() as db:
        outbox.write(db, [message])
        [entry] = outbox.entries(db, ["k"])
        outbox.give_up(db, entry, "the target did not take it")
    assert "outbox  notification k  wedding w-7  the target did not take it" in _run("dead-letters")
    assert _run("dead-letters", "replay", "outbox-1").startswith("sent again")
    assert "no message was refused" in _run("dead-letters")


def test_the_timeline_says_who_opened_an_emergency() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    asked = client.open_emergency("venue", "w-1", request_key="k", caller="ada")
    open_emergency(**asked.message)
    assert "opened  (ada)" in _run("timeline", "--wedding", "w-1")
