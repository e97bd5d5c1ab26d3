"""Timelines that are changed alone and kept with each version; wedding days, how they go; the gate.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision = "0023", "0022"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add what is not known of what the version before wrote."""
    op.add_column("weddings", sa.Column("timeline_digest", sa.Text()))
    op.add_column("wedding_versions", sa.Column("timeline", postgresql.JSONB()))
    _days()
    _reports()
    _metrics()
    _overrides()
    op.create_table(
        "moment_fits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("fitted_at", _MOMENT, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Float(), nullable=False),
        sa.Column("stretch", sa.Float(), nullable=False),
        sa.Column("pace", sa.Float(), nullable=False),
        sa.Column("groups", postgresql.JSONB(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=False),
    )


def _overrides() -> None:
    op.create_table(
        "gate_overrides",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )


def _days() -> None:
    documents = ("plan", "started", "ended", "arrived", "warned")
    op.create_table(
        "wedding_days",
        sa.Column("wedding_id", sa.Text(), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("over_at", _MOMENT, nullable=False, index=True),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("suppliers", sa.Integer(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_at", _MOMENT),
        *(sa.Column(name, postgresql.JSONB(), nullable=False) for name in documents),
    )


def _reports() -> None:
    op.create_table(
        "moment_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("key", sa.Text(), nullable=False, unique=True),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
    )
    op.create_index("reports_of_wedding", "moment_reports", ["wedding_id", "id"])


def _metrics() -> None:
    counts = ("due", "reported", "in_time", "suppliers", "arrived")
    op.create_table(
        "critical_path_metrics",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("bottleneck", sa.Text(), nullable=False),
        sa.Column("moments", postgresql.JSONB(), nullable=False),
    )
    op.create_index("critical_path_of_wedding", "critical_path_metrics", ["wedding_id", sa.text("at DESC")])
