"""What was answered to a caller under a key: kept with its effect, given again for a day."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Connection, DateTime, SmallInteger, Table, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from workers.commands.rules.answers import Answer
from workers.foundation.database import expires, metadata
from workers.foundation.moments import MachineMoment

#: A caller that asks again later than this asks anew.
KEPT = timedelta(hours=24)

answers = Table(
    "answers",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # Of method, path and body: another request must not get this one's answer.
    Column("fingerprint", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    # As text: given again byte for byte.
    Column("body", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    info=expires(lambda table, _before: table.c.expires_at < func.now()),
)


def hold(db: Connection, caller: str, key: str) -> bool:
    """Hold a key until the transaction ends; tell whether nobody else does."""
    place = {"place": f"answer/{caller}/{key}"}
    return bool(
        db.execute(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:place, 0))"), place).scalar_one()
    )


def find(db: Connection, caller: str, key: str, *, now: MachineMoment) -> Answer | None:
    """Return what was answered under a key."""
    facts: list[Any] = [answers.c[name] for name in Answer.__dataclass_fields__]
    query = select(*facts).where(answers.c.caller == caller, answers.c.key == key)
    row = db.execute(query.where(answers.c.expires_at > now)).one_or_none()
    return Answer(*row) if row else None


def keep(db: Connection, caller: str, key: str, answer: Answer, *, now: MachineMoment) -> None:
    """Keep an answer under a key; one that expired makes room."""
    gone = (answers.c.caller == caller) & (answers.c.key == key)
    db.execute(answers.delete().where(gone))
    db.execute(answers.insert().values(caller=caller, key=key, expires_at=now + KEPT, **vars(answer)))
