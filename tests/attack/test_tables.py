"""Each role at each table of PostgreSQL: what it may do there, it can; all else is refused."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.made import wedding
from workers.access.rules.roles import Role
from workers.access.store import tables
from workers.foundation import database
from workers.foundation.claims import Claims, claiming
from workers.weddings.store import weddings

DENIED = "42501"
#: Denied, or nothing that can be done with a view.
REFUSED = {DENIED, "42809", "55000"}
#: Without effect, but for what it needs a right.
TRIES = {
    "SELECT": "SELECT * FROM {} LIMIT 1",
    "INSERT": "EXPLAIN INSERT INTO {} ({column}) VALUES (NULL)",
    "UPDATE": "EXPLAIN UPDATE {} SET {column} = NULL",
    "DELETE": "EXPLAIN DELETE FROM {}",
    "TRUNCATE": "TRUNCATE {}",
    "REFERENCES": "ALTER TABLE {} ADD COLUMN stolen text",
    "TRIGGER": "DROP TABLE {}",
}
DATABASE_ROLES = [Role.WORKER, Role.OPERATOR, Role.API, Role.READER, Role.KEDA]


def relations() -> Iterator[str]:
    with database.transaction() as db:
        yield from db.execute(
            text(
                "SELECT relname FROM pg_class c WHERE relnamespace = current_schema()::regnamespace "
                "AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND NOT EXISTS "
                "(SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY relname"
            )
        ).scalars()


def state_of(statement: str) -> str:
    """Return the SQLSTATE that a statement of this login is answered with; empty when it was obeyed."""
    try:
        with database.transaction() as db:
            db.exec_driver_sql(statement)
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    return ""


def test_each_table_has_a_line_that_says_who_may_do_what() -> None:
    from workers.access.store import audit
    from workers.app import app
    from workers.foundation import health

    app.loader.import_default_modules()
    assert {audit.log.name, health.marks.name} <= tables.TABLES.keys()
    kept = {"metric_points", "metric_minutes"}
    assert set(tables.TABLES) - kept == set(database.metadata.tables), "see workers/access/store/tables.py"


@pytest.mark.parametrize("role", DATABASE_ROLES)
def test_a_role_can_do_with_each_table_what_it_may_and_nothing_else(
    role: Role, enter: Callable[[Role], None]
) -> None:
    names, may = list(relations()), tables.privileges()
    columns = _columns()
    enter(role)
    for name in names:
        allowed = may.get((name, tables.GROUPS[role]), frozenset())
        for privilege, statement in TRIES.items():
            state = state_of(statement.replace("{column}", columns[name]).replace("{}", name))
            assert state == "" if privilege in allowed else state in REFUSED, (
                f"{privilege} on {name}: {state}"
            )


def _columns() -> dict[str, str]:
    query = (
        "SELECT table_name, min(column_name) FROM information_schema.columns "
        "WHERE is_identity = 'NO' AND is_generated = 'NEVER' AND is_updatable IS NOT NULL GROUP BY table_name"
    )
    with database.transaction() as db:
        return {table: f'"{column}"' for table, column in db.execute(text(query))}


@pytest.mark.parametrize("role", DATABASE_ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "COPY weddings TO PROGRAM 'id'",
        "COPY weddings FROM '/etc/passwd'",
        "CREATE ROLE mine SUPERUSER",
        "ALTER ROLE wedops_worker BYPASSRLS",
        "SET ROLE wedops_owner",
        "SET SESSION AUTHORIZATION wedops",
        "CREATE TABLE public.mine (id int)",
        "CREATE EXTENSION plpython3u",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "ALTER TABLE weddings DISABLE ROW LEVEL SECURITY",
        "DROP POLICY wedops_claims ON weddings",
        "SELECT set_config('log_statement', 'all', false)",
        "SELECT setval('journal_id_seq', 9223372036854775807)",
        "SELECT setval('calendar_versions', 1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_create(0)",
        "SELECT pg_logical_emit_message(false, 'x', 'x')",
    ],
)
def test_no_role_can_get_above_its_rules(role: Role, statement: str, enter: Callable[[Role], None]) -> None:
    enter(role)
    assert state_of(statement) in (DENIED, "0A000", "58P01")


@pytest.mark.parametrize("role", [Role.READER, Role.KEDA])
def test_who_only_looks_holds_no_locks(role: Role, enter: Callable[[Role], None]) -> None:
    enter(role)
    for name in ("pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_xact_lock_shared"):
        assert state_of(f"SELECT {name}(hashtext('wedops calendar'))") == DENIED


def test_nobody_changes_what_was_written_down(enter: Callable[[Role], None]) -> None:
    enter(Role.OPERATOR)
    for statement in ("UPDATE audit_log SET who = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        assert state_of(statement) == DENIED


def test_days_are_made_and_dropped_by_a_worker_for_tables_by_day_alone(enter: Callable[[Role], None]) -> None:
    enter(Role.WORKER)
    assert state_of("SELECT wedops_make_partition('journal', '2031-01-01')") == ""
    assert state_of("SELECT wedops_make_partition('journal', '2031-01-01')") == ""
    assert state_of("SELECT wedops_drop_partition('journal', '2031-01-01')") == ""
    assert state_of("SELECT wedops_make_partition('weddings', '2031-01-01')") == "P0001"
    assert state_of("SELECT wedops_make_partition('journal', '9999-01-01')") == "P0001"
    assert state_of("SELECT wedops_drop_partition('weddings', '2031-01-01')") == ""
    enter(Role.API)
    assert state_of("SELECT wedops_drop_partition('journal', '2031-01-02')") == DENIED
    enter(Role.READER)
    assert state_of("SELECT wedops_make_partition('journal', '2031-01-02')") == DENIED


def test_the_api_is_shown_what_it_claims_and_nothing_without(enter: Callable[[Role], None]) -> None:
    calendar = [wedding("w-1"), wedding("w-2", supplier_ids=("s3",)), wedding("w-3", supplier_ids=("s3",))]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=calendar[0].starts_at)
    enter(Role.API)

    def _seen(claims: Claims) -> list[str]:
        with claiming(claims), database.transaction() as db:
            return sorted(db.execute(text("SELECT id FROM weddings")).scalars())

    assert _seen(Claims()) == []
    assert _seen(Claims("w-1")) == ["w-1"]
    assert _seen(Claims(supplier_id="s3")) == ["w-2", "w-3"]
    assert _seen(Claims(all_weddings=True)) == ["w-1", "w-2", "w-3"]
    # What one transaction claimed, the next one on the same connection does not.
    with database.transaction() as db:
        assert list(db.execute(text("SELECT id FROM weddings"))) == []


def test_no_claim_writes_into_another_wedding(enter: Callable[[Role], None]) -> None:
    enter(Role.API)
    statement = (
        "INSERT INTO moment_reports (key, wedding_id, moment, what, at, by, received_at) "
        "VALUES ('k', '{}', 'm', 'started', now(), 's', now())"
    )
    with claiming(Claims("w-1")):
        assert state_of(statement.format("w-2")) == DENIED
        assert state_of(statement.format("w-1")) == ""
        assert state_of("UPDATE moment_reports SET wedding_id = 'w-2'") == DENIED
