"""How often an entry of the outbox was claimed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column."""
    op.add_column("outbox", sa.Column("claims", sa.Integer(), server_default="0", nullable=False))
