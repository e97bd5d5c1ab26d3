"""What gateways observe of a region's traffic, beside single connections."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns; a worker of the version before writes rows without them."""
    for name in ("reused", "delivered", "batches", "failed_batches"):
        op.add_column(
            "connection_metrics", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        )
    op.add_column("connection_metrics", sa.Column("seconds", sa.Float(), server_default="0", nullable=False))
    for name in ("connect_p95_ms", "delivery_p50_ms", "delivery_p95_ms"):
        op.add_column("connection_metrics", sa.Column(name, sa.Float()))
