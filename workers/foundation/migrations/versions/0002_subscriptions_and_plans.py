"""Subscriptions of a region, and the limits of suppliers whose plan has one of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make them."""
    op.add_column(
        "connection_metrics", sa.Column("subscriptions", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.create_table(
        "supplier_limits",
        sa.Column("supplier_id", sa.Text(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("supplier_id", name=op.f("pk_supplier_limits")),
    )
