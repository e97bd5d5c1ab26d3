"""Timelines that are changed alone, and kept with each version of a wedding.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision = "0023", "0022"


def upgrade() -> None:
    """Add what is not known of what the version before wrote."""
    op.add_column("weddings", sa.Column("timeline_digest", sa.Text()))
    op.add_column("wedding_versions", sa.Column("timeline", postgresql.JSONB()))
