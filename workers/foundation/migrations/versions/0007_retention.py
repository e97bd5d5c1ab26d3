"""When a proposal was settled.

Forecasts of weeks; a season's regions and version by index; rows that go with others.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_BELONG = (
    ("alert_changes", "alert_id", "performance_alerts"),
    ("alert_notices", "alert_id", "performance_alerts"),
    ("degradation_responses", "alert_id", "performance_alerts"),
    ("emergency_steps", "emergency_id", "emergencies"),
)


def upgrade() -> None:
    """Add columns and indices, and let the others cascade."""
    op.add_column("scaling_actions", sa.Column("settled_at", sa.DateTime(timezone=True)))
    op.add_column(
        "scaling_prediction_sets", sa.Column("far", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    unique = op.f("uq_scaling_prediction_sets_region_calendar_version_starts_at")
    op.drop_constraint(unique, "scaling_prediction_sets")
    op.create_unique_constraint(
        "one_forecast_a_start", "scaling_prediction_sets", ["region", "calendar_version", "starts_at", "far"]
    )
    op.drop_index("newest_forecast", "scaling_prediction_sets")
    op.create_index(
        "newest_forecast",
        "scaling_prediction_sets",
        ["region", sa.text("id DESC")],
        postgresql_where=sa.text("NOT far"),
    )
    op.create_index("weddings_by_region", "weddings", ["region"])
    op.create_index("weddings_by_version", "weddings", ["version"])
    for table, column, to in _BELONG:
        name = f"fk_{table}_{column}"
        op.drop_constraint(op.f(name), table, type_="foreignkey")
        op.create_foreign_key(op.f(name), table, to, [column], ["id"], ondelete="CASCADE")
