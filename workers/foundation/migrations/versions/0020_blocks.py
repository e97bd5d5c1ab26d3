"""Points in blocks, minutes in pages; when a series was heard of last; fits by their region's calendar."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and have what may still change be rolled up into them."""
    op.create_table(
        "metric_blocks",
        sa.Column("minute", _MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        postgresql_partition_by="RANGE (minute)",
    )
    op.create_index("blocks_by_minute", "metric_blocks", ["minute"])
    op.create_table(
        "metric_minute_pages",
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("page", "at", name=op.f("pk_metric_minute_pages")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("minute_pages_by_time", "metric_minute_pages", ["at"])
    for table in ("metric_blocks", "metric_minute_pages"):
        # Packed already.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")
    _due()
    op.add_column(
        "metric_series",
        sa.Column("heard_on", sa.Date(), nullable=False, server_default=sa.func.current_date()),
    )
    op.add_column("forecast_fits", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))


def _due() -> None:
    # An hour is made anew of all its minutes: those that late points may still change need pages.
    op.execute(
        "INSERT INTO metric_rollups_due (level, start) SELECT 'minute', minute FROM generate_series("
        "date_trunc('hour', now()) - interval '2 days', now(), interval '1 minute') AS minute "
        "WHERE EXISTS (SELECT FROM metric_positions) ON CONFLICT DO NOTHING"
    )
    op.execute("UPDATE metric_rollups_open SET after = 0")
