"""When a proposal was settled; and rows that belong to another go with it."""

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
    """Add the one, and let the others cascade."""
    op.add_column("scaling_actions", sa.Column("settled_at", sa.DateTime(timezone=True)))
    for table, column, to in _BELONG:
        name = f"fk_{table}_{column}"
        op.drop_constraint(op.f(name), table, type_="foreignkey")
        op.create_foreign_key(op.f(name), table, to, [column], ["id"], ondelete="CASCADE")
