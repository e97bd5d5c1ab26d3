"""Alerts that escalate, are silenced, taken and ranked; who is reached where."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "addresses",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("wedding_id", sa.Text(), server_default="", nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("who", "wedding_id", "channel", name=op.f("pk_addresses")),
    )
    op.create_table(
        "alert_groups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("told_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_groups")),
    )
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("up_to", sa.Text(), nullable=False),
        sa.Column("weekly", sa.Text(), nullable=False),
        sa.Column("only", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_silences")),
    )
    op.create_index(op.f("ix_alert_silences_ends_at"), "alert_silences", ["ends_at"])
    op.create_table(
        "escalation_paths",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation_paths")),
    )
    op.create_table(
        "alert_notices",
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["performance_alerts.id"], name=op.f("fk_alert_notices_alert_id")
        ),
        sa.PrimaryKeyConstraint(
            "alert_id", "step", "who", "wedding_id", "channel", name=op.f("pk_alert_notices")
        ),
    )
    op.create_index(op.f("ix_alert_notices_message"), "alert_notices", ["message"])
    op.add_column("alert_changes", sa.Column("by", sa.Text(), server_default="", nullable=False))
    op.add_column("alert_changes", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.create_index(op.f("ix_alert_changes_alert_id"), "alert_changes", ["alert_id"])
    op.add_column("notifications", sa.Column("who", sa.Text(), server_default="operations", nullable=False))
    op.add_column("notifications", sa.Column("wedding_id", sa.Text(), server_default="", nullable=False))
    op.add_column("notifications", sa.Column("channel", sa.Text(), server_default="target-1", nullable=False))
    op.add_column("notifications", sa.Column("withdrawn_at", _MOMENT, nullable=True))
    op.add_column("performance_alerts", sa.Column("region", sa.Text(), server_default="", nullable=False))
    op.add_column("performance_alerts", sa.Column("wedding_id", sa.Text(), server_default="", nullable=False))
    op.add_column("performance_alerts", sa.Column("calm_since", _MOMENT, nullable=True))
    op.add_column("performance_alerts", sa.Column("worst", sa.Text(), server_default="", nullable=False))
    op.add_column("performance_alerts", sa.Column("flaps", sa.Integer(), server_default="0", nullable=False))
    op.add_column("performance_alerts", sa.Column("escalates_from", _MOMENT, nullable=True))
    op.add_column("performance_alerts", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("performance_alerts", sa.Column("told_at", _MOMENT, nullable=True))
    op.add_column("performance_alerts", sa.Column("end_told_at", _MOMENT, nullable=True))
    op.add_column("performance_alerts", sa.Column("snoozed_until", _MOMENT, nullable=True))
    op.add_column(
        "performance_alerts", sa.Column("assigned_to", sa.Text(), server_default="", nullable=False)
    )
    op.add_column("performance_alerts", sa.Column("quiet", sa.Text(), server_default="", nullable=False))
    op.add_column("performance_alerts", sa.Column("people", sa.Integer(), server_default="0", nullable=False))
    op.add_column("performance_alerts", sa.Column("rank", sa.Float(), server_default="0", nullable=False))
    op.create_index(op.f("ix_performance_alerts_fingerprint"), "performance_alerts", ["fingerprint"])
    op.drop_index("unsent_notifications", "notifications")
    unsent = sa.text("sent_at IS NULL AND withdrawn_at IS NULL")
    op.create_index("unsent_notifications", "notifications", ["created_at"], postgresql_where=unsent)
    # Who was told of what fires now was told.
    op.execute(
        "UPDATE performance_alerts SET escalates_from = fired_at, told_at = fired_at WHERE fired_at IS NOT "
        "NULL"
    )
    op.execute("UPDATE performance_alerts SET end_told_at = resolved_at WHERE state = 'resolved'")
