"""Who did what, from where and as whom."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0027", "0026"


def upgrade() -> None:
    """Add the log."""
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("kind", "who", "source", "login", "action", "subject", "outcome")
        ),
    )


def downgrade() -> None:
    """Drop the log."""
    op.drop_table("audit_log")
