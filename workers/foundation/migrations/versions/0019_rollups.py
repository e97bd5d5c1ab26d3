"""Roll-ups go page by page, and on from where they were."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the table of what is worked on."""
    op.create_table(
        "metric_rollups_open",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("level", "start", name=op.f("pk_metric_rollups_open")),
    )
