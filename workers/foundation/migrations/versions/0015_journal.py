"""What happened, and how far each reader has read."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the tables. SQLAlchemy has no type xid8."""
    op.execute("CREATE SEQUENCE journal_id_seq")
    op.execute(
        """
        CREATE TABLE journal (
            id bigint NOT NULL DEFAULT nextval('journal_id_seq'),
            tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
            at timestamptz NOT NULL,
            name text NOT NULL,
            version smallint NOT NULL,
            body jsonb NOT NULL,
            CONSTRAINT pk_journal PRIMARY KEY (at, id)
        ) PARTITION BY RANGE (at)
        """
    )
    op.create_index("journal_order", "journal", ["tx", "id"])
    op.execute(
        "CREATE TABLE journal_cursors "
        "(reader text CONSTRAINT pk_journal_cursors PRIMARY KEY, tx xid8 NOT NULL, id bigint NOT NULL)"
    )
