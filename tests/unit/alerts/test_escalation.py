"""Who is told, when, and who next."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from tests.made import NOON
from tests.unit.alerts.test_muting import standing
from workers.alerts.rules.escalation import DEFAULT, due, may_publish, path_of, read
from workers.alerts.rules.kinds import Kind, Severity, Tempo
from workers.alerts.rules.lifecycle import Policy, State

POLICY = Policy()
PAGE = standing(severity=Severity.CRITICAL)


def _steps(minutes: float, tempo: Tempo = Tempo.ORDINARY, **facts: object) -> list[str]:
    alert = replace(PAGE, **facts)  # type: ignore[arg-type]
    notices = due(alert, path_of(alert, DEFAULT.path), tempo, POLICY, now=NOON + timedelta(minutes=minutes))
    return [f"{notice.step} {notice.recipient}" for notice in notices]


def test_a_critical_alert_climbs_faster_on_a_wedding_day_and_fastest_in_a_wedding() -> None:
    first, second = ["1.1 operations"], ["1.2 operations-lead", "1.2 contacts"]
    assert [_steps(0), _steps(14), _steps(15)] == [first, first, first + second]
    assert [_steps(4, Tempo.WEDDING_DAY), _steps(5, Tempo.WEDDING_DAY)] == [first, first + second]
    assert _steps(7, Tempo.RUNNING) == [*first, *second, "1.3 operations-manager"]


@pytest.mark.parametrize(
    "facts",
    [
        {"state": State.ACKNOWLEDGED},
        {"state": State.PENDING},
        {"muted": "silence 7"},
        {"snoozed_until": NOON + timedelta(hours=2)},
        {"escalates_from": None},
    ],
)
def test_who_took_it_put_it_off_or_silenced_it_ends_the_climb(facts: dict[str, object]) -> None:
    assert _steps(60, **facts) == []


def test_the_last_step_is_said_again_every_four_hours() -> None:
    assert _steps(45 + 8 * 60)[-1] == "1.again-2 operations-manager"


def test_whom_it_was_handed_to_is_told_first() -> None:
    assert _steps(0, assigned_to="ada", round=2) == ["2.1 ada"]


def test_a_group_waits_to_gather_then_speaks_every_five_minutes_but_at_once_of_what_is_critical() -> None:
    medium = standing(severity=Severity.MEDIUM)

    def _speaks(alert: object, seconds: float, told: float | None) -> bool:
        notified_at = None if told is None else NOON + timedelta(seconds=told)
        return may_publish([alert], notified_at, POLICY, now=NOON + timedelta(seconds=seconds))  # type: ignore[list-item]

    assert [_speaks(medium, 29, None), _speaks(medium, 30, None)] == [False, True]
    assert [_speaks(medium, 31, 0), _speaks(medium, 300, 0)] == [False, True]
    assert _speaks(PAGE, 0, 0)


def test_paths_are_data_and_the_first_that_fits_is_taken() -> None:
    document = {
        "path": [
            {
                "name": "broker",
                "kinds": ["bro*"],
                "steps": [{"recipients": ["sre"], "after_minutes": {"ordinary": 3}}],
            }
        ]
    }
    paths = read(document).path
    assert path_of(standing(kind=Kind.BROKER), paths).name == "broker"
    assert path_of(standing(), paths).name == "ticket"
    assert paths[0].steps[0].wait(Tempo.RUNNING) == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "path"),
        ({"path": [{"name": "a", "steps": []}]}, "path.0.steps"),
        ({"path": [{"name": "a", "severities": ["bad"], "steps": [{"who": ["x"]}]}]}, "path.0.severities.0"),
        (
            {"path": [{"name": "a", "steps": [{"who": ["x"], "after_minutes": {"ordinary": -1}}]}]},
            "path.0.steps.0",
        ),
        ({"path": [{"name": "a", "steps": [{"who": ["x"], "wait": 3}]}]}, "path.0.steps.0.wait"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_by_field(document: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(document)
    assert any(".".join(map(str, one["loc"])).startswith(field) for one in caught.value.errors())
