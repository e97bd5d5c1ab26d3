"""Duties of suppliers; urgent messages and what became of them; emergencies that are run; emergency mode."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables; what was there gets what it lacks."""
    # Null is none: what the version before copies into the calendar has no such column.
    op.add_column("weddings", sa.Column("duties", postgresql.JSONB()))
    op.add_column(
        "degradation_responses", sa.Column("wedding_id", sa.Text(), nullable=False, server_default="")
    )
    _messages()
    _emergencies()


def _emergencies() -> None:
    op.add_column(
        "emergencies", sa.Column("protocol_version", sa.BigInteger(), nullable=False, server_default="0")
    )
    for column in (
        sa.Column("state", sa.Text(), nullable=False, server_default="due"),
        sa.Column("after", postgresql.ARRAY(sa.Integer()), nullable=False, server_default="{}"),
        sa.Column("mandatory", sa.Boolean(), nullable=False, server_default="true"),
        sa.Column("action", postgresql.JSONB()),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.Column("settled_at", _MOMENT),
        sa.Column("escalated", sa.SmallInteger(), nullable=False, server_default="0"),
    ):
        op.add_column("emergency_steps", column)
    op.create_index(
        "steps_by_deadline", "emergency_steps", ["due_at"], postgresql_where=sa.text("settled_at IS NULL")
    )
    op.create_table(
        "emergency_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column(
            "emergency_id",
            sa.BigInteger(),
            sa.ForeignKey(
                "emergencies.id", ondelete="CASCADE", name=op.f("fk_emergency_changes_emergency_id")
            ),
            nullable=False,
        ),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer()),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index(op.f("ix_emergency_changes_emergency_id"), "emergency_changes", ["emergency_id"])
    # Nobody is told of deadlines that passed before anybody was.
    op.execute("UPDATE emergency_steps SET escalated = 3 WHERE due_at < now()")
    # What was opened and closed before is told by the timeline still.
    op.execute(
        "INSERT INTO emergency_changes (emergency_id, at, what, by, reason) "
        "SELECT id, opened_at, 'opened', '', '' FROM emergencies UNION ALL "
        "SELECT id, closed_at, 'closed', '', '' FROM emergencies WHERE closed_at IS NOT NULL"
    )
    op.create_table(
        "emergency_protocols",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("msg_type", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("pace", sa.Float(), nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("committed_at", _MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("published_at", _MOMENT),
        sa.Column("closed_at", _MOMENT),
        sa.UniqueConstraint("identifier", name=op.f("uq_messages_identifier")),
        sa.UniqueConstraint("thread", "revision", name=op.f("uq_messages_thread_revision")),
    )
    waiting = sa.text("published_at IS NULL AND closed_at IS NULL")
    op.create_index("messages_to_publish", "messages", ["id"], postgresql_where=waiting)
    op.create_index("messages_of_wedding", "messages", ["wedding_id", "id"])
    op.create_index(
        "messages_open", "messages", ["expires_at"], postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "message_recipients",
        sa.Column(
            "message_id",
            sa.BigInteger(),
            sa.ForeignKey("messages.id", ondelete="CASCADE", name=op.f("fk_message_recipients_message_id")),
            primary_key=True,
        ),
        sa.Column("recipient", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False, server_default="pending"),
        *(sa.Column(f"{name}_at", _MOMENT) for name in ("sent", "delivered", "displayed", "acknowledged")),
        sa.Column("settled_at", _MOMENT),
        sa.Column("channel", sa.Text(), nullable=False, server_default=""),
        sa.Column("contacts", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("steps", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("due_at", _MOMENT),
    )
    op.create_index(
        "recipients_due", "message_recipients", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
