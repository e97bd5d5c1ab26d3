"""Who calls the API, and what was answered to whom under which key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision = "0028", "0027"


def upgrade() -> None:
    """Add keys and answers."""
    texts, moment = postgresql.ARRAY(sa.Text()), sa.DateTime(timezone=True)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("caller", sa.Text(), nullable=False, index=True),
        sa.Column("digest", sa.Text(), nullable=False),
        *(sa.Column(name, texts, nullable=False) for name in ("scopes", "supplier_ids", "wedding_ids")),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        *(sa.Column(name, moment) for name in ("revoked_at", "used_at")),
    )
    op.create_table(
        "answers",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("caller", "key")),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("expires_at", moment, nullable=False, index=True),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("answers")
    op.drop_table("api_keys")
