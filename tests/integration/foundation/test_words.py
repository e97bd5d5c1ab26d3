"""Columns that were renamed: the version before and this one write what the other one reads."""

from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import text

from tests.made import NOON
from workers.foundation import database

pytestmark = pytest.mark.usefixtures("world")

_ALERT = (
    "INSERT INTO performance_alerts (fingerprint, kind, subject, severity, state, value, detail, since, "
    "seen_at{0}) "
    "VALUES ('cpu/n1', 'cpu', 'n1', 'high', 'firing', 1, 'busy', now(), now(){1})"
)
_ACTION = (
    "INSERT INTO scaling_actions (region, resource, from_value, to_value, reason, inputs, state, created_at, "
    "{0}) "
    "VALUES ('east', 'instances', 2, 3, 'demand', '{{}}', 'approved', now(), 7, 'ada')"
)
_FULL = (
    "INSERT INTO scaling_full_days (region, day, at, limit_name, needed, {0}) VALUES ('e', now(), now(), "
    "'i', 9, 8)"
)
_PATHS = "INSERT INTO escalation_paths (document, {0}, reason, at) VALUES ('{{}}', 'ada', 'r', now())"
_ORDER = (
    "INSERT INTO scaling_orders (region, kind, reason, at, {0}) VALUES ('east', 'live', 'r', now(), 'ada')"
)
_SEASON = (
    "INSERT INTO season_changes (region, season, reason, index, at, {0}) "
    "VALUES ('e', 'peak', 'r', 1, now(), 7)"
)
_GROUP = "INSERT INTO alert_groups (name, {0}) VALUES ('east', '2026-10-10 12:00Z')"
_SILENCE = (
    'INSERT INTO alert_silences (kind, subject, region, starts_at, ends_at, up_to, weekly, "only", '
    "reason, {0}) VALUES ('*', '*', '*', now(), now(), 'high', '', '', 'r', 'ada')"
)
#: By table: an insert by the old names, one by the new ones, and what both leave under both names.
WRITTEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "addresses": (
        "INSERT INTO addresses (who, channel, url) VALUES ('ada', 'pager', 'log://') "
        "ON CONFLICT (who, wedding_id, channel) DO UPDATE SET url = 'log://'",
        "INSERT INTO addresses (recipient, channel, url) VALUES ('ada', 'pager', 'log://')",
        {"who": "ada", "recipient": "ada"},
    ),
    "performance_alerts": (
        _ALERT.format(", quiet, people", ", 'silence 7', 12"),
        _ALERT.format(", muted, connected_users", ", 'silence 7', 12"),
        {"quiet": "silence 7", "muted": "silence 7", "people": 12, "connected_users": 12},
    ),
    "scaling_actions": (
        _ACTION.format("follows, asked_by"),
        _ACTION.format("expected_previous_id, requested_by"),
        {"follows": 7, "expected_previous_id": 7, "asked_by": "ada", "requested_by": "ada"},
    ),
    "scaling_full_days": (_FULL.format("most"), _FULL.format("max"), {"most": 8, "max": 8}),
    "escalation_paths": (
        _PATHS.format("asked_by"),
        _PATHS.format("requested_by"),
        {"asked_by": "ada", "requested_by": "ada"},
    ),
    "scaling_orders": (
        _ORDER.format("asked_by"),
        _ORDER.format("requested_by"),
        {"asked_by": "ada", "requested_by": "ada"},
    ),
    "alert_groups": (
        _GROUP.format("told_at"),
        _GROUP.format("notified_at"),
        {"told_at": NOON, "notified_at": NOON},
    ),
    "alert_silences": (
        _SILENCE.format("asked_by"),
        _SILENCE.format("requested_by"),
        {"asked_by": "ada", "requested_by": "ada"},
    ),
    "season_changes": (
        _SEASON.format("follows"),
        _SEASON.format("expected_previous_id"),
        {"follows": 7, "expected_previous_id": 7},
    ),
}


@pytest.mark.parametrize("by", ["the version before", "this version"])
@pytest.mark.parametrize("table", WRITTEN)
def test_what_either_version_writes_has_both_names(table: str, by: str) -> None:
    old, new, left = WRITTEN[table]
    with database.transaction() as db:
        db.execute(text(old if by == "the version before" else new))
        row = dict(db.execute(text(f"SELECT * FROM {table}")).mappings().one())  # noqa: S608
    assert {name: row[name] for name in left} == left


@pytest.mark.parametrize(("names", "other"), [("quiet = 'x'", "muted"), ("muted = 'x'", "quiet")])
def test_an_update_by_either_name_is_seen_by_the_other(names: str, other: str) -> None:
    with database.transaction() as db:
        db.execute(text(_ALERT.format("", "")))
        db.execute(text(f"UPDATE performance_alerts SET {names}"))  # noqa: S608
        assert db.execute(text(f"SELECT {other} FROM performance_alerts")).scalar_one() == "x"  # noqa: S608
        db.execute(text("UPDATE performance_alerts SET told_at = now()"))
        db.execute(text("UPDATE performance_alerts SET notified_at = NULL"))
        assert db.execute(text("SELECT told_at FROM performance_alerts")).scalar_one() is None


def test_the_version_before_writes_the_notification_log_by_its_old_name() -> None:
    with database.transaction() as db:
        alert_id = db.execute(text(_ALERT.format("", "") + " RETURNING id")).scalar_one()
        statement = (
            "INSERT INTO alert_notices (alert_id, step, who, wedding_id, channel, message, at) "
            "VALUES (:id, '1.1', 'ada', '', 'pager', 'm', now())"
        )
        db.execute(text(statement), {"id": alert_id})
        assert db.execute(text("SELECT recipient FROM notification_log")).scalar_one() == "ada"


def test_every_renamed_column_is_tried() -> None:
    migration = import_module("workers.foundation.migrations.versions.0018_words")
    # A step of an emergency has a parent; the same trigger is made for it.
    assert WRITTEN.keys() == migration._COLUMNS.keys() - {"emergency_steps"}
