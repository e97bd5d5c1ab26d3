"""Rows in and out: once by their key, many by COPY, in the place of others, plain for JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import (
    Connection,
    Result,
    Table,
    TableClause,
    TableValuedAlias,
    Text,
    column,
    func,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert

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


def upsert(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; each takes the place of the one with its primary key."""
    # In one order, so that two who do the same wait for each other instead of deadlocking.
    ordered = sorted(rows, key=lambda row: [row[key.name] for key in table.primary_key])
    for first in range(0, len(ordered), PAGE):
        db.execute(_in_their_place(insert(table).values(ordered[first : first + PAGE]), table))


def _in_their_place(statement: Insert, target: Table) -> Insert:
    keys = [one.name for one in target.primary_key]
    new = {one.name: one for one in statement.excluded if one.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


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


@contextmanager
def arriving(db: Connection, target: Table, rows: Iterable[Mapping[str, Any]]) -> Iterator[TableClause]:
    """Yield a table for the length of the block that holds rows of `target`: a season is a COPY.

    Not for the API, whose role makes no tables.
    """
    names = [one.name for one in target.c]
    documents = {one.name for one in target.c if isinstance(one.type, JSONB)}
    db.execute(text(f"CREATE TEMPORARY TABLE arriving (LIKE {target.name}) ON COMMIT DROP"))
    copy(db, "arriving", names, ([_value(row[name], name in documents) for name in names] for row in rows))
    yield table("arriving", *map(column, names))
    db.execute(text("DROP TABLE arriving"))


def _value(value: Any, is_document: bool) -> Any:
    return Jsonb(value) if is_document and value is not None else value


def take_place_of(db: Connection, target: Table, arrived: TableClause) -> None:
    """Have rows that arrived take the place of those with the same primary key."""
    # In one order, as in `upsert`.
    query = select(arrived).order_by(*(arrived.c[key.name] for key in target.primary_key))
    statement = insert(target).from_select([one.name for one in arrived.c], query)
    db.execute(_in_their_place(statement, target))


def pairs(values: Mapping[str, str], name: str) -> TableValuedAlias:
    """Return a table of (id, `name`) for an UPDATE of many rows by one statement."""
    ids, own = (literal(list(one), ARRAY(Text)) for one in (values.keys(), values.values()))
    return func.unnest(ids, own).table_valued("id", name).render_derived()
