"""One outbox for all that is sent.

Notifications move there; what a worker of the version before writes follows them.
"""

from time import sleep

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

_MOMENT = sa.DateTime(timezone=True)
_NOW = sa.text("now()")
_COLUMNS = (
    "key, kind, version, lane, recipient, wedding_id, body, state, attempts, created_at, due_at, settled_at"
)
_ROW = """
    {0}key, 'notification', 1, CASE {0}severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 ELSE 2 END,
    concat_ws('/', {0}who, {0}wedding_id, {0}channel), {0}wedding_id,
    jsonb_build_object('title', {0}title, 'body', {0}body, 'severity', {0}severity, 'recipient', {0}who,
        'wedding_id', {0}wedding_id, 'channel', {0}channel),
    CASE WHEN {0}sent_at IS NOT NULL THEN 'sent' WHEN {0}withdrawn_at IS NOT NULL THEN 'withdrawn'
        ELSE 'waiting' END,
    {0}attempts, {0}created_at, now(), coalesce({0}sent_at, {0}withdrawn_at)
"""


def upgrade() -> None:
    """Add the table, move the rows, and lead the way there."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("wedding_id", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("due_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("deadline", _MOMENT),
        sa.Column("settled_at", _MOMENT),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
    )
    op.create_index(
        "outbox_due", "outbox", ["kind", "lane", "due_at"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("outbox_settled", "outbox", ["kind", "settled_at"])
    _lock()
    op.execute(f"INSERT INTO outbox ({_COLUMNS}) SELECT {_ROW.format('')} FROM notifications")  # noqa: S608
    op.execute("DELETE FROM notifications")
    op.execute(
        f"""
        CREATE FUNCTION notification_into_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO outbox ({_COLUMNS}) SELECT {_ROW.format("NEW.")} ON CONFLICT (key) DO NOTHING;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER into_outbox BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION "
        "notification_into_outbox()"
    )


def _lock() -> None:
    """Lock the table of before. Whoever sends one just now holds its row for as long as its target takes.

    Each try ends before those who write there, and queue behind it, give up after 5 s.
    """
    db = op.get_bind()
    for left in reversed(range(20)):
        try:
            with db.begin_nested():
                db.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
                db.execute(sa.text("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE"))
        except sa.exc.OperationalError:
            if not left:
                raise
            sleep(1)
        else:
            return
