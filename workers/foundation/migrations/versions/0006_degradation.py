"""What was done about degradations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "degradation_responses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("before", sa.Float(), nullable=False),
        sa.Column("after", sa.Float(), nullable=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("measured_at", _MOMENT, nullable=True),
        sa.Column("undone_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["performance_alerts.id"], name=op.f("fk_degradation_responses_alert_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_degradation_responses")),
        sa.UniqueConstraint(
            "alert_id", "round", "number", name=op.f("uq_degradation_responses_alert_id_round_number")
        ),
    )
