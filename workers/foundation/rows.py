"""Rows in and out: once by their key, many by COPY, plain for JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Result, Table
from sqlalchemy.dialects.postgresql import insert

#: Rows of one statement: PostgreSQL takes 65,535 values.
PAGE = 1_000


def plain(rows: Result[Any]) -> list[dict[str, Any]]:
    """Return rows by the plain names of their columns: SQLAlchemy's own can't be written as JSON."""
    return [{str(name): value for name, value in row.items()} for row in rows.mappings()]


def insert_once(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Insert rows, but those whose unique key is known.

    Return the (first column of the) primary keys of the new ones.
    """
    found: list[Any] = []
    for first in range(0, len(rows), PAGE):
        page = insert(table).values(list(rows[first : first + PAGE]))
        found += db.execute(page.on_conflict_do_nothing().returning(*table.primary_key)).scalars()
    return found


def copy(
    db: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    types: Sequence[str] = (),
) -> None:
    """Append `rows` to `table` by COPY, within the transaction of `db`; in binary form when given its types.

    Names come from code, never from input.
    """
    cursor = db.connection.cursor()
    form = " (FORMAT BINARY)" if types else ""
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN{form}") as sink:
        if types:
            sink.set_types(types)
        for row in rows:
            sink.write_row(row)
