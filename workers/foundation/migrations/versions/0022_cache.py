"""The weddings of a supplier are found by an index: that is asked each time one connects.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

revision, down_revision = "0022", "0021"


def upgrade() -> None:
    """Index who works where."""
    op.create_index("weddings_by_supplier", "weddings", ["supplier_ids"], postgresql_using="gin")
