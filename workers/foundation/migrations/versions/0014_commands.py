"""Commands are sent by the outbox, and say who asked. What the version before accepts follows them there."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_ENTRY = """
    INSERT INTO outbox (key, kind, version, lane, recipient, wedding_id, body)
    SELECT 'command/' || {0}key, 'command', 1,
        CASE WHEN {0}task LIKE 'emergencies.%' THEN 0 ELSE 2 END, '', '',
        jsonb_build_object('key', {0}key)
"""


def upgrade() -> None:
    """Write entries for what is accepted, and for what the version before will accept."""
    op.add_column("requests", sa.Column("caller", sa.Text(), server_default="", nullable=False))
    op.execute(_ENTRY.format("") + "FROM requests WHERE state = 'accepted'")
    op.execute(
        f"""
        CREATE FUNCTION request_into_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {_ENTRY.format("NEW.")} ON CONFLICT (key) DO NOTHING;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER into_outbox AFTER INSERT ON requests FOR EACH ROW EXECUTE FUNCTION "
        "request_into_outbox()"
    )
