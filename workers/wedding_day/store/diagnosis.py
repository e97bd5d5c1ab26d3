"""What PostgreSQL says of itself: stale statistics, slow statements and their plans, bloat, connections."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from workers.foundation.slow_statements import Slow
from workers.wedding_day.rules.optimising import Health

_STALE = text(
    """
    SELECT relname FROM pg_stat_user_tables
    WHERE relname = ANY(:tables) AND n_live_tup > 1000
      AND (n_mod_since_analyze > 0.1 * n_live_tup OR coalesce(last_analyze, last_autoanalyze) IS NULL)
    ORDER BY relname
    """
)
_SLOW = text(
    """
    SELECT query, calls, mean_exec_time FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND mean_exec_time >= :above AND calls >= 3 AND query ILIKE 'select%' AND query NOT ILIKE '%pg_%'
    ORDER BY total_exec_time DESC LIMIT :limit
    """
)
_BLOATED = text(
    """
    SELECT relname, n_dead_tup / (n_live_tup + n_dead_tup)::float8 FROM pg_stat_user_tables
    WHERE n_dead_tup > 10000 AND n_dead_tup > 0.3 * (n_live_tup + n_dead_tup)
    """
)
_IDLE = text(
    """
    SELECT pid, extract(epoch FROM now() - state_change)::float8, application_name FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
      AND now() - state_change > :after
    ORDER BY 2 DESC LIMIT 10
    """
)
_USED = text("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
#: For so long a transaction may do nothing.
IDLE_AFTER = timedelta(minutes=5)


def stale(db: Connection, tables: Sequence[str]) -> list[str]:
    """Return those of some tables of which much has changed since their statistics were made."""
    return list(db.execute(_STALE, {"tables": list(tables)}).scalars())


def analyze(db: Connection, table: str) -> bool:
    """Make a table's statistics anew; False where this role may not."""
    if re.fullmatch(r"[a-z_]+", table) is None:
        raise ValueError(f"{table!r} is no name of a table")
    # Who may not gets a warning, and no error.
    before = _made(db, table)
    db.exec_driver_sql(f"ANALYZE {table}")
    return bool(_made(db, table) != before)


def _made(db: Connection, table: str) -> Any:
    # What other sessions see may be remembered from before.
    db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    query = text("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = :table")
    return db.execute(query, {"table": table}).scalar_one_or_none()


def has_statistics(db: Connection) -> bool:
    """Tell whether pg_stat_statements is there."""
    return bool(db.execute(text("SELECT to_regclass('pg_stat_statements') IS NOT NULL")).scalar_one())


def slow(db: Connection, *, above_ms: float, limit: int) -> list[Slow]:
    """Return the statements that take longest, by pg_stat_statements."""
    rows = db.execute(_SLOW, {"above": above_ms, "limit": limit})
    return [Slow(row[0], row[1], row[2]) for row in rows]


def plan(db: Connection, statement: str) -> Mapping[str, Any] | None:
    """Return a statement's plan for any parameters; None where it has none."""
    numbered = _numbered(statement)
    try:
        with db.begin_nested():
            [[found]] = db.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}").all()
    except DBAPIError:
        return None
    own: Mapping[str, Any] = found[0]["Plan"]
    return own


def _numbered(statement: str) -> str:
    """Return a statement with $1, $2 … for the parameters that psycopg names."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    for number, name in enumerate(names, 1):
        statement = statement.replace(f"%({name})s", f"${number}")
    # A driver takes one that is left for a placeholder of its own.
    return statement.replace("%", "%%")


def tables(db: Connection) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Return the rows and columns of our tables."""
    rows = db.execute(text("SELECT relname, n_live_tup::float8 FROM pg_stat_user_tables"))
    live = {row[0]: row[1] for row in rows}
    names = text(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "ORDER BY ordinal_position"
    )
    columns: dict[str, list[str]] = {}
    for table, column in db.execute(names):
        columns.setdefault(table, []).append(column)
    return live, columns


def health(db: Connection) -> Health:
    """Return what may slow the database down."""
    bloated = {row[0]: row[1] for row in db.execute(_BLOATED)}
    idle = [(row[0], row[1], row[2]) for row in db.execute(_IDLE, {"after": IDLE_AFTER})]
    used, most = db.execute(_USED).one()
    return Health(bloated, idle, used, most)
