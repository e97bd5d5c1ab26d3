"""What services measure: points, their minutes, hours and days; events of objectives."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "metric_days",
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.Column("least", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("series", "at", name=op.f("pk_metric_days")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_table(
        "metric_hours",
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.Column("least", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("series", "at", name=op.f("pk_metric_hours")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_table(
        "metric_minutes",
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.Column("least", sa.Float(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("series", "at", name=op.f("pk_metric_minutes")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_table(
        "metric_points",
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "points_by_time",
        "metric_points",
        ["at"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
    )
    op.create_table(
        "metric_positions",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_metric_positions")),
    )
    op.create_table(
        "metric_rollups_due",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("start", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("level", "start", name=op.f("pk_metric_rollups_due")),
    )
    op.create_table(
        "metric_series",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_series")),
        sa.UniqueConstraint("text", name=op.f("uq_metric_series_text")),
    )
    op.create_index(op.f("ix_metric_series_name"), "metric_series", ["name"])
    op.create_table(
        "slo_hours",
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("bad", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("objective", "region", "at", name=op.f("pk_slo_hours")),
    )
    op.create_table(
        "slo_events",
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", "objective", "region", name=op.f("pk_slo_events")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_table(
        "wedding_performance_metrics",
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("bad", sa.BigInteger(), nullable=False),
        sa.Column("budget_left", sa.Float(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("wedding_id", "objective", name=op.f("pk_wedding_performance_metrics")),
    )
    op.create_table(
        "wedding_slo_events",
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("bad_events_by_time", "wedding_slo_events", ["at"], postgresql_where=sa.text("bad > 0"))
    op.create_index("slo_events_by_wedding", "wedding_slo_events", ["wedding_id", "at"])
