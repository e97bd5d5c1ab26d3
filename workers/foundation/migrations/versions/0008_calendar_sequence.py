"""The SEQUENCE that an iCalendar had of a wedding: an older copy must not undo a newer one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add it; what is known has none yet."""
    op.add_column("weddings", sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"))
