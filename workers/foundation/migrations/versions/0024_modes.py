"""The mode of each wedding, the weather ahead, verified addresses; what each step did; reviews.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision = "0024", "0023"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add what is known of modes."""
    op.create_table(
        "wedding_holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("wedding_id", sa.Text(), nullable=False, index=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("region", "zone", "mode")),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("until", _MOMENT, nullable=False, index=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.add_column("weddings", sa.Column("geo", sa.Text(), nullable=False, server_default=""))
    _outlooks()
    op.create_table(
        "day_reviews",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
    )
    _people()
    for name, kind in (("operation", sa.Text()), ("before", sa.Float()), ("after", sa.Float())):
        op.add_column("optimization_results", sa.Column(name, kind))
    for name in ("until", "undone_at"):
        op.add_column("optimization_results", sa.Column(name, _MOMENT))
    op.create_index("results_by_kind", "optimization_results", ["kind", "operation", sa.text("id DESC")])
    holds = sa.text("until IS NOT NULL AND undone_at IS NULL")
    op.create_index("results_that_hold", "optimization_results", ["until"], postgresql_where=holds)
    op.add_column(
        "degradation_responses", sa.Column("by", sa.Text(), nullable=False, server_default="playbook")
    )
    op.add_column("addresses", sa.Column("verified_at", _MOMENT))
    op.create_table(
        "wedding_modes",
        sa.Column("wedding_id", sa.Text(), primary_key=True),
        sa.Column("mode", sa.Text(), nullable=False, index=True),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("backups", postgresql.JSONB()),
        sa.Column("checked_at", _MOMENT),
        sa.Column("missing_since", _MOMENT),
    )


def _outlooks() -> None:
    op.create_table(
        "weather_outlooks",
        sa.Column("wedding_id", sa.Text(), primary_key=True),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("because", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("geo", sa.Text(), nullable=False),
    )


def _people() -> None:
    """Add who of a wedding is there, and how fast they answer."""
    for table, name in (
        ("wedding_days", "guests"),
        ("critical_path_metrics", "guests"),
        ("critical_path_metrics", "asked"),
        ("critical_path_metrics", "acknowledged"),
    ):
        op.add_column(table, sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("critical_path_metrics", sa.Column("guest_connections", sa.Integer()))
    op.add_column("critical_path_metrics", sa.Column("acknowledged_within", sa.Float()))
