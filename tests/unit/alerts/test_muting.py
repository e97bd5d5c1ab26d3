"""Inhibition, silences, rank."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.made import NOON
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import AlertView, Reason, State
from workers.alerts.rules.muting import Around, Silence, Weekly, mute, rank
from workers.weddings.rules.calendar import Phase


def standing(
    id: int = 1, kind: Kind = Kind.RESPONSE_TIME, severity: Severity = Severity.HIGH, **facts: Any
) -> AlertView:
    given: dict[str, Any] = {
        "subject": "east", "region": "east", "wedding_id": "", "state": State.FIRING, "detail": "slow",
        "since": NOON,
        "fired_at": NOON, "resolved_at": None, "escalates_from": NOON, "notified_at": None, "round": 1,
        "flaps": 0,
        "snoozed_until": None, "assigned_to": "", "muted": "", "connected_users": 0, "rank": 0.0,
        "value": 0.0,
        "seen_at": NOON, "calm_since": None,
    }  # fmt: skip
    return AlertView(id=id, kind=kind, severity=severity, **given | facts)


def _silence(**facts: Any) -> Silence:
    given: dict[str, Any] = {
        "kind": "*", "subject": "*", "region": "*", "starts_at": NOON, "ends_at": NOON + timedelta(hours=1),
        "up_to": Severity.HIGH, "weekly": "", "only": "", "requested_by": "me", "reason": "work",
    }  # fmt: skip
    return Silence(id=7, **given | facts)


def _muted(alerts: list[AlertView], *silences: Silence, around: Around | None = None) -> dict[int, Reason]:
    near = {alert.id: around or Around() for alert in alerts}
    return {id: reason for id, (reason, _) in mute(alerts, near, silences, now=NOON).items()}


def test_a_node_that_is_down_explains_what_is_slow_in_its_region_and_no_other() -> None:
    node = standing(1, Kind.NODE_OUT, subject="n1")
    slow, elsewhere = standing(2), standing(3, subject="west", region="west")
    assert _muted([node, slow, elsewhere]) == {2: Reason.INHIBITED}


def test_what_is_worse_than_its_explanation_is_told() -> None:
    assert _muted([standing(1, Kind.NODE_OUT), standing(2, severity=Severity.CRITICAL)]) == {}


def test_an_explanation_that_is_silenced_explains_nothing() -> None:
    node = standing(1, Kind.NODE_OUT, subject="n1")
    assert _muted([node, standing(2)], _silence(subject="n1")) == {1: Reason.SILENCED}


@pytest.mark.parametrize(
    ("silence", "around", "muted"),
    [
        ({}, Around(), True),
        ({"kind": "node_*"}, Around(), False),
        ({"region": "e*"}, Around(), True),
        ({"ends_at": NOON}, Around(), False),
        ({"starts_at": NOON + timedelta(minutes=1)}, Around(), False),
        ({"up_to": Severity.MEDIUM}, Around(), False),
        ({"only": "no_wedding"}, Around(9, frozenset({Phase.SETUP})), True),
        ({"only": "no_wedding"}, Around(9, frozenset({Phase.SETUP, Phase.CEREMONY})), False),
        ({"only": "setup"}, Around(9, frozenset({Phase.SETUP})), True),
        ({"only": "setup"}, Around(9, frozenset({Phase.SETUP, Phase.RECEPTION})), False),
        ({"only": "setup"}, Around(), False),
        ({"weekly": "sat 07:00-09:00 America/New_York"}, Around(), True),
        ({"weekly": "sun 07:00-09:00 America/New_York"}, Around(), False),
    ],
)
def test_a_silence_holds_when_all_it_says_is_so(silence: dict[str, Any], around: Around, muted: bool) -> None:
    assert _muted([standing()], _silence(**silence), around=around) == ({1: Reason.SILENCED} if muted else {})


def test_a_weekly_window_goes_past_midnight_and_keeps_to_its_clock_when_that_changes() -> None:
    window = Weekly.read("sat 22:00-02:00 America/New_York")
    before, after = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    # 01:30 comes twice in that night: both times it is inside; 02:00 is not.
    assert [window.covers(at) for at in (before, after, after + timedelta(minutes=30))] == [True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sat",
        "sat 2-4 UTC",
        "caturday 02:00-04:00 UTC",
        "sat 02:00-04:00 Mars/Base",
        "sat 02:00Z-04:00 UTC",
    ],
)
def test_a_window_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="sat,sun 02:00-04:00"):
        Weekly.read(text)


def test_people_in_a_ceremony_rank_above_more_people_before_it() -> None:
    ceremony, setup = Around(100, frozenset({Phase.CEREMONY})), Around(300, frozenset({Phase.SETUP}))
    assert rank(Severity.HIGH, ceremony) > rank(Severity.HIGH, setup) > rank(Severity.MEDIUM, setup) > 0


def test_a_pending_alert_is_neither_silenced_nor_an_explanation() -> None:
    pending = replace(standing(1, Kind.NODE_OUT), state=State.PENDING)
    assert _muted([pending, standing(2)]) == {}
