"""Let a hold of a wedding's mode take its place from the calendar."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Drop where a held wedding is: the calendar knows, and a second truth can differ from it."""
    op.drop_column("wedding_holds", "region")
    op.drop_column("wedding_holds", "zone")


def downgrade() -> None:
    """Fill the place of each hold from the calendar."""
    for column in ("region", "zone"):
        op.add_column("wedding_holds", sa.Column(column, sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE wedding_holds SET region = weddings.region, zone = weddings.zone "
        "FROM weddings WHERE weddings.id = wedding_holds.wedding_id"
    )
