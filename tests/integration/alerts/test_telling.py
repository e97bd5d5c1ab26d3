"""Escalation played through.

Steps, groups, silences, taking and handing over; one message a step, person and channel.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, text

from tests.made import NOON, wedding
from workers.alerts.rules import lifecycle as rules
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Change, Policy, Reason, State
from workers.alerts.store import alerts as store
from workers.alerts.store import moves, silences
from workers.alerts.usecases import escalation, operators
from workers.foundation import database
from workers.notify import store as notify
from workers.notify.rules import Target
from workers.notify.tasks import deliver
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

POLICY = Policy()
LogEntry = Callable[[float], list[str]]


def _fire(
    subject: str = "us-west",
    severity: Severity = Severity.CRITICAL,
    kind: Kind = Kind.RESPONSE_TIME,
    **facts: str,
) -> None:
    breach = Breach(kind, subject, severity, 6000, f"{subject} is slow", **({"region": subject} | facts))
    with database.transaction() as db:
        change = Change(None, State.FIRING, Reason.ABOVE_THRESHOLD, breach)
        moves.apply_changes(db, [change], at=NOON, flapping_within=timedelta(minutes=30))


def _at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def _told(minutes: float) -> list[str]:
    """Escalate at so many minutes, twice; return the keys of what was told until then, in their order."""
    for _ in range(2):
        with database.transaction() as db:
            escalation.escalate(db, POLICY, now=_at(minutes))
    with database.transaction() as db:
        keys = db.execute(
            text("SELECT key FROM outbox WHERE state <> 'withdrawn' ORDER BY created_at, key")
        ).scalars()
        return [key.removeprefix("alert/").removesuffix("/target-1") for key in keys]


def _resolve(minutes: float) -> None:
    with database.transaction() as db:
        [alert] = store.unresolved(db)
        over = Change(alert.id, State.RESOLVED, Reason.BACK_TO_NORMAL)
        moves.apply_changes(db, [over], at=_at(minutes), flapping_within=timedelta(minutes=30))


def test_the_story_of_a_page_that_nobody_takes() -> None:
    with database.transaction() as db:
        notify.register(db, Target("operations-lead", "", "pager"), "log://")
    _fire()
    assert _told(0) == ["1/1.1/operations"], "what is critical does not wait"
    assert _told(0.5) == ["1/1.1/operations"]
    assert _told(14.9) == ["1/1.1/operations"]
    assert sorted(_told(15)[1:]) == ["1/1.2/operations", "1/1.2/operations-lead/pager"], (
        "contacts of no wedding are operations"
    )
    assert _told(45)[-1] == "1/1.3/operations"
    deliver()
    with database.transaction() as db:
        operators.acknowledge(db, 1, by="ada", note="on it", now=_at(46))
    assert len(_told(600)) == 4
    _resolve(601)
    assert sorted(_told(601)[4:]) == ["1/end/operations", "1/end/operations-lead/pager"]
    with database.transaction() as db:
        history = [(row["reason"], row["by"]) for row in store.history(db, 1)]
    assert history == [("above_threshold", ""), ("acknowledged", "ada"), ("back_to_normal", "")]


def test_in_a_running_wedding_it_climbs_within_minutes_and_its_own_contacts_are_told() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=NOON)], at=NOON)
        notify.register(db, Target("contacts", "w-1", "sms"), "log://")
    _fire("w-1", kind=Kind.QUALITY, region="us-northeast", wedding_id="w-1")
    assert _told(0.5) == ["1/1.1/operations"]
    assert sorted(_told(2)) == ["1/1.1/operations", "1/1.2/contacts/sms", "1/1.2/operations"]
    with database.transaction() as db:
        [alert] = store.listed(db)
    assert (alert.connected_users, alert.rank) == (100, 100 * 8 * 9)


def test_alerts_of_a_region_are_one_message_and_what_comes_after_waits_for_the_next() -> None:
    _fire(kind=Kind.RESPONSE_TIME, severity=Severity.MEDIUM)
    _fire(kind=Kind.ERROR_RATE, severity=Severity.HIGH)
    assert _told(0.5) == ["1/1.1/operations"]
    with database.transaction() as db:
        row = db.execute(text("SELECT body FROM outbox")).scalar_one()
    assert row["title"] == "high firing: error_rate us-west and 1 more in us-west"
    assert "See docs/runbooks/response_time.md" in row["body"]
    _fire(kind=Kind.AVAILABILITY, severity=Severity.MEDIUM)
    assert _told(5) == ["1/1.1/operations"]
    assert _told(5.5) == ["1/1.1/operations", "3/1.1/operations"]
    _fire(kind=Kind.CPU, severity=Severity.CRITICAL)
    assert _told(6)[-1] == "4/1.1/operations", "what is critical does not wait"


def test_a_silence_is_kept_and_broken_by_what_is_worse_and_ends_with_the_first_step() -> None:
    with database.transaction() as db:
        facts = {
            "kind": "*",
            "subject": "*",
            "region": "us-*",
            "weekly": "",
            "only": "",
            "requested_by": "me",
            "reason": "work",
        }
        silences.add(db, starts_at=NOON, ends_at=_at(60), up_to=Severity.HIGH, **facts)
    _fire(severity=Severity.HIGH)
    _fire(kind=Kind.CPU)
    assert _told(10) == ["2/1.1/operations"]
    assert _told(60) == ["2/1.1/operations", "2/1.2/operations"], (
        "the second and the third step are one message by now"
    )
    assert _told(60.5)[-1] == "1/1.1/operations"
    with database.transaction() as db:
        assert [row["reason"] for row in store.history(db, 1)] == ["above_threshold", "silenced", "unmuted"]


def test_snoozed_to_the_end_of_the_phase_it_begins_anew() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=NOON)], at=NOON)
    _fire("us-northeast")
    _told(1)
    with database.transaction() as db:
        until = operators.snooze(db, 1, None, by="ada", note="", now=_at(1))
    assert until == _at(60), "the ceremony's end"
    assert len(_told(59)) == 1
    assert _told(60)[1:] == ["1/2.1/operations"]
    with database.transaction() as db, pytest.raises(operators.NoPhase):
        operators.snooze(db, 1, None, by="ada", note="", now=_at(6000))


def test_whom_it_is_handed_to_is_told_at_once() -> None:
    with database.transaction() as db:
        notify.register(db, Target("ada", "", "pager"), "log://")
    _fire()
    _told(0.5)
    with database.transaction() as db:
        operators.reassign(db, 1, to="ada", by="bob", note="", now=_at(1))
    assert _told(1) == ["1/1.1/operations", "1/2.1/ada/pager"]


def test_what_was_taken_before_it_was_sent_wakes_nobody() -> None:
    _fire()
    _told(0.5)
    with database.transaction() as db:
        operators.acknowledge(db, 1, by="ada", note="", now=_at(0.6))
    assert _told(0.7) == []


def test_what_ends_before_anybody_was_told_is_told_to_nobody() -> None:
    _fire()
    _resolve(0.3)
    assert _told(5) == []


def test_many_who_escalate_at_once_tell_it_once() -> None:
    for number in range(20):
        _fire(f"us-{number}")

    def _escalate(_number: int) -> None:
        with database.transaction() as db:
            escalation.escalate(db, POLICY, now=_at(30))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_escalate, range(12)))
    assert len(_told(30)) == 20, "the first and the second step, in one message"


def _statements(weddings: int) -> int:
    """Return how many statements it takes to notify of an alert of each of so many weddings."""
    opening = [
        Change(
            None,
            State.FIRING,
            Reason.ABOVE_THRESHOLD,
            Breach(
                Kind.ERROR_BUDGET,
                f"wedding w-{number}",
                Severity.CRITICAL,
                1,
                "burns",
                "us-west",
                f"w-{number}",
            ),
        )
        for number in range(weddings)
    ]
    with database.transaction() as db:
        moves.apply_changes(db, opening, at=NOON, flapping_within=timedelta(0))
    counted = list[object]()

    def _count(*facts: object) -> None:
        counted.append(facts[2])

    event.listen(database.engine(), "before_cursor_execute", _count)
    try:
        with database.transaction() as db:
            assert escalation.escalate(db, POLICY, now=_at(30)) > 0
    finally:
        event.remove(database.engine(), "before_cursor_execute", _count)
    return len(counted)


def test_many_weddings_take_as_many_statements_as_one() -> None:
    one = _statements(1)
    assert _statements(400) <= one + 2, "pages of rows, and no query for each"


def test_one_that_swings_between_two_severities_is_told_of_the_worst_once() -> None:
    for number in range(6):
        severity = (Severity.HIGH, Severity.CRITICAL)[number % 2]
        breach = Breach(Kind.RESPONSE_TIME, "us-west", severity, 6000, "slow", "us-west")
        with database.transaction() as db:
            changed = rules.changes(
                [breach], store.unresolved(db), Policy(pending_for=timedelta(0)), now=_at(number)
            )
            moves.apply_changes(db, changed, at=_at(number), flapping_within=timedelta(0))
        told = _told(number + 0.6)
    assert told == ["1/1.1/operations", "1/2.1/operations"]


def test_one_that_flaps_must_be_quiet_longer_before_it_is_over() -> None:
    for round in range(3):
        _fire()
        with database.transaction() as db:
            [alert] = store.unresolved(db)
        assert alert.flaps == round
        _resolve(round)
    assert POLICY.calm_for(3) == 8 * POLICY.resolve_after


def test_a_thousand_changes_are_a_handful_of_statements() -> None:
    breaches = [Breach(Kind.QUALITY, f"w-{number}", Severity.HIGH, 1, "bad") for number in range(1_000)]
    opening = [Change(None, State.FIRING, Reason.ABOVE_THRESHOLD, breach) for breach in breaches]
    with database.transaction() as db:
        assert len(moves.apply_changes(db, opening, at=NOON, flapping_within=timedelta(0))) == 1_000
        over = [Change(alert.id, State.RESOLVED, Reason.BACK_TO_NORMAL) for alert in store.unresolved(db)]
        assert len(moves.apply_changes(db, over, at=NOON, flapping_within=timedelta(0))) == 1_000
        assert store.unresolved(db) == []
