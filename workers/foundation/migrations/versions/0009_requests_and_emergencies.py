"""What came of a request; one open emergency of a kind at a wedding."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_DOUBLED = """
    UPDATE emergencies later SET state = 'closed', closed_at = now()
    WHERE state = 'open' AND EXISTS (
        SELECT FROM emergencies first
        WHERE first.state = 'open' AND first.wedding_id = later.wedding_id AND first.kind = later.kind
        AND first.id < later.id)
"""


def upgrade() -> None:
    """Add both; of several that are open the first one stays."""
    op.add_column("requests", sa.Column("effect", sa.Text))
    op.execute(_DOUBLED)
    op.create_index(
        "one_open_emergency",
        "emergencies",
        ["wedding_id", "kind"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
