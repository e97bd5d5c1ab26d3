"""How long rows are kept: a table says which of its rows are over, and what is over for long is dropped once a day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, FromClause, Table, Text, delete, literal_column, select

from workers.foundation import database, settings

Outdated = Callable[[FromClause, datetime], ColumnElement[bool]]
#: Rows that one transaction drops, and transactions a table and day: a backlog of years must not hold rows for minutes.
AT_ONCE, MOST = 20_000, 50


@dataclass(frozen=True)
class Policy:
    """What is over is kept for so many days; what stands, and the audit of people's orders, for good."""

    keep_days: int = 400

    def __post_init__(self) -> None:
        """Refuse to forget what is still looked at: the last five weeks are."""
        if not 35 <= self.keep_days <= 36_500:
            raise ValueError("keep_days must be from 35 to 36500")


def over(outdated: str | Outdated) -> dict[str, Outdated]:
    """Return a table's `info`, by which rows are dropped some time after the moment in a column (none: it stands).

    Or those for which a condition holds. Tables that refer to it must do so ON DELETE CASCADE.
    """
    return {"outdated": outdated if callable(outdated) else lambda table, before: table.c[outdated] < before}


def forget(*, now: datetime) -> dict[str, int]:
    """Drop what is outdated at `now`; return how many rows, of the tables that had some."""
    before, dropped = now - timedelta(days=settings.read(Policy, "HISTORY_").keep_days), dict[str, int]()
    for table in database.metadata.sorted_tables:
        for _ in range(MOST if "outdated" in table.info else 0):
            rows = _drop(table, before)
            dropped[table.name] = dropped.get(table.name, 0) + rows
            if rows < AT_ONCE:
                break
    return {name: rows for name, rows in dropped.items() if rows}


def _drop(table: Table, before: datetime) -> int:
    old = table.alias("old")
    condition: ColumnElement[bool] = table.info["outdated"](old, before)
    some = select(literal_column("old.ctid", Text)).select_from(old).where(condition).limit(AT_ONCE)
    with database.transaction() as db:
        return db.execute(delete(table).where(literal_column("ctid").in_(some))).rowcount
