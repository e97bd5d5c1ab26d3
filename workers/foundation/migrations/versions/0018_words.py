"""The field's words as columns.

The old names stay beside them until no worker of the version before writes them.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_MOMENT = sa.DateTime(timezone=True)
_Column = tuple[str, str, sa.types.TypeEngine[Any], bool]
#: By table: the old name, the new one, its type, and whether each row has a value.
_COLUMNS: dict[str, list[_Column]] = {
    "addresses": [("who", "recipient", sa.Text(), True)],
    "alert_groups": [("told_at", "notified_at", _MOMENT, True)],
    "alert_silences": [("asked_by", "requested_by", sa.Text(), True)],
    "emergency_steps": [("who", "owner", sa.Text(), True)],
    "escalation_paths": [("asked_by", "requested_by", sa.Text(), True)],
    "performance_alerts": [
        ("told_at", "notified_at", _MOMENT, False),
        ("end_told_at", "end_notified_at", _MOMENT, False),
        ("quiet", "muted", sa.Text(), True),
        ("people", "connected_users", sa.Integer(), True),
    ],
    "scaling_actions": [
        ("follows", "expected_previous_id", sa.BigInteger(), True),
        ("asked_by", "requested_by", sa.Text(), True),
    ],
    "scaling_full_days": [("most", "max", sa.Integer(), True)],
    "scaling_orders": [("asked_by", "requested_by", sa.Text(), True)],
    "season_changes": [("follows", "expected_previous_id", sa.BigInteger(), True)],
}
#: What rows say in words that changed.
_WORDS = {
    "alert_changes": {"handed_over": "reassigned", "snooze_over": "snooze_expired", "heard_again": "unmuted"},
    "scaling_actions": {"took_too_much": "over_scaled_in"},
}


def upgrade() -> None:
    """Add the columns, fill them, and keep both names of each the same, whoever writes."""
    for table, columns in _COLUMNS.items():
        _add(table, columns)
    _keys()
    for table, words in _WORDS.items():
        for old, new in words.items():
            op.execute(f"UPDATE {table} SET reason = '{new}' WHERE reason = '{old}'")  # noqa: S608
    op.execute(
        "UPDATE performance_alerts SET muted = replace(muted, 'explained by', 'inhibited by') WHERE muted <> "
        "''"
    )


def _add(table: str, columns: list[_Column]) -> None:
    for _, new, kind, _ in columns:
        op.add_column(table, sa.Column(new, kind))
    pairs = ", ".join(f'"{new}" = {old}' for old, new, *_ in columns)
    op.execute(f"UPDATE {table} SET {pairs}")  # noqa: S608 - names of this file
    for new in (new for _, new, _, always in columns if always):
        op.alter_column(table, new, nullable=False)
    op.execute(
        f"CREATE FUNCTION {table}_both_words() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {' '.join(_synchronized(columns))} RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER both_words BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION "
        f"{table}_both_words()"
    )


def _synchronized(columns: list[_Column]) -> Iterator[str]:
    """Yield what makes the two names of each column agree.

    An insert has one of them, an update changes one.
    """
    for old, new, *_ in columns:
        yield (
            f"""
            IF TG_OP = 'INSERT' THEN
                NEW."{new}" := coalesce(NEW."{new}", NEW.{old});
                NEW.{old} := NEW."{new}";
            ELSIF NEW."{new}" IS DISTINCT FROM OLD."{new}" THEN NEW.{old} := NEW."{new}";
            ELSE NEW."{new}" := NEW.{old};
            END IF;
            """
        )


def _keys() -> None:
    """Have the new names be keys, too; and a table whose name changed be found by the old one."""
    op.create_unique_constraint(
        op.f("uq_scaling_actions_region_resource_expected_previous_id"),
        "scaling_actions",
        ["region", "resource", "expected_previous_id"],
    )
    op.create_unique_constraint(
        op.f("uq_season_changes_region_expected_previous_id"),
        "season_changes",
        ["region", "expected_previous_id"],
    )
    op.drop_constraint(op.f("pk_addresses"), "addresses")
    op.create_primary_key(op.f("pk_addresses"), "addresses", ["recipient", "wedding_id", "channel"])
    op.create_unique_constraint("addresses_of_before", "addresses", ["who", "wedding_id", "channel"])
    op.rename_table("alert_notices", "notification_log")
    op.alter_column("notification_log", "who", new_column_name="recipient")
    for kind in ("pk", "fk"):
        tail = "_alert_id" if kind == "fk" else ""
        op.execute(
            f"ALTER TABLE notification_log RENAME CONSTRAINT {kind}_alert_notices{tail} TO "
            f"{kind}_notification_log{tail}"
        )
    op.execute("ALTER INDEX ix_alert_notices_message RENAME TO ix_notification_log_message")
    # One table behind it, so that rows can be written by this name.
    op.execute(
        "CREATE VIEW alert_notices AS SELECT alert_id, step, recipient AS who, wedding_id, channel, message, "
        "at "
        "FROM notification_log"
    )
