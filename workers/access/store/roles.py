"""Groups and logins of PostgreSQL, made by who may make roles; and what a superuser closes besides."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from workers.access.rules.roles import Role
from workers.access.store import tables
from workers.access.store.tables import API, GROUPS, OWNER, WORKER
from workers.foundation import schema

#: What no role of ours is.
_PLAIN = "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION"
#: Of whom there are few, so that nobody takes all connections.
_CONNECTIONS = {Role.KEDA: 5, Role.READER: 10}
_INSIDE = (Role.OWNER, Role.OPERATOR, Role.WORKER)

_LOGINS = text(
    """
    SELECT r.rolname, g.rolname AS of, r.rolsuper OR r.rolbypassrls AS is_above, r.rolcanlogin
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
    WHERE g.rolname = ANY(:groups)
    """
)


def may_make_roles(db: Connection) -> bool:
    """Tell whether this login may make roles."""
    query = text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    return bool(db.execute(query).scalar_one())


def make_roles(db: Connection, secrets: Mapping[Role, Mapping[str, str]]) -> None:
    """Make the groups, and a login for each secret of a role; take the login of who has none any more."""
    for group in dict.fromkeys(GROUPS.values()):
        if not db.execute(text("SELECT to_regrole(:name) IS NOT NULL"), {"name": group}).scalar_one():
            db.execute(text(f"CREATE ROLE {group} NOLOGIN {_PLAIN}"))
    for role, own in secrets.items():
        if role in GROUPS:
            _make_logins(db, role, GROUPS[role], own)
    if db.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one():
        # What the optimiser finds slow statements and idle sessions by.
        db.execute(text(f"GRANT pg_read_all_stats TO {WORKER}"))
        if is_ours_alone(db):
            db.execute(text(_TAKE_OVER))
            db.execute(text(_CLOSE_FUNCTIONS))


def login(role: Role, name: str) -> str:
    """Return what the login of a role's secret is called."""
    return f"wedops_{role}_{name}"


def _make_logins(db: Connection, role: Role, group: str, secrets: Mapping[str, str]) -> None:
    encrypt = db.connection.driver_connection.pgconn.encrypt_password  # type: ignore[union-attr]
    wanted = {login(role, name): secret for name, secret in secrets.items()}
    begins = login(role, "")
    known = {name for name, *_ in members(db) if name.startswith(begins)}
    for name, secret in wanted.items():
        # Hashed here: no statement, and so no server's log, has the secret.
        word = encrypt(secret.encode(), name.encode(), b"scram-sha-256").decode()
        made = f"ALTER ROLE {name} LOGIN" if name in known else f"CREATE ROLE {name} LOGIN INHERIT {_PLAIN}"
        db.exec_driver_sql(f"{made} CONNECTION LIMIT {_CONNECTIONS.get(role, -1)} PASSWORD '{word}'")
        db.execute(text(f"GRANT {group} TO {name}"))
        if role not in _INSIDE:
            # What it holds and does nothing with keeps nobody waiting for long.
            db.execute(text(f"ALTER ROLE {name} SET idle_in_transaction_session_timeout = '30s'"))
        if group == OWNER:
            # So that all is owned by the group, whichever of its logins made it.
            db.execute(text(f"ALTER ROLE {name} SET role = '{OWNER}'"))
    for name in known - wanted.keys():
        db.execute(text(f"ALTER ROLE {name} NOLOGIN PASSWORD NULL"))
        # Who came in by it goes.
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :name"
        db.execute(text(ended), {"name": name})


def members(db: Connection) -> list[Any]:
    """Return the logins of the groups: login, group, whether it is above all rules, and may log in."""
    return list(db.execute(_LOGINS, {"groups": list(dict.fromkeys(GROUPS.values()))}))


#: As a superuser: what an earlier login made becomes the owner's.
_TAKE_OVER = f"""
DO $$
DECLARE one record;
BEGIN
  FOR one IN
    SELECT c.oid::regclass AS name, c.relkind FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND c.relowner <> '{OWNER}'::regrole AND NOT EXISTS (
        -- Of an extension, or a sequence that goes with its table.
        SELECT FROM pg_depend d
        WHERE d.objid = c.oid AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('i', 'a')))
  LOOP
    EXECUTE format(
      'ALTER %s %s OWNER TO {OWNER}', CASE one.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, one.name);
  END LOOP;
  FOR one IN
    SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.proowner <> '{OWNER}'::regrole
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO {OWNER}', one.name);
  END LOOP;
  EXECUTE format('ALTER DATABASE %I OWNER TO {OWNER}', current_database());
  EXECUTE format('ALTER SCHEMA %I OWNER TO {OWNER}', current_schema());
END $$
"""  # noqa: S608 - a name of ours


def is_ours_alone(db: Connection) -> bool:
    """Tell whether nobody else keeps tables in this database's schema: those are theirs to close."""
    query = """
        SELECT count(*) FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT c.relispartition AND c.relname <> ALL(:ours)
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    """
    ours = [*tables.TABLES, *tables.OTHERS, *schema.LEAVING]
    return not db.execute(text(query), {"ours": ours}).scalar_one()


#: What anybody may call who may come in, and what would hold up or fill the database: locks by a number,
#: large objects, and messages into its log of changes. Workers and the API lock by numbers.
_CLOSE_FUNCTIONS = f"""
DO $$
DECLARE one record;
BEGIN
  FOR one IN
    SELECT p.oid::regprocedure AS name, p.proname ~ 'advisory' AS is_lock FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND p.proname ~ '^(pg_(try_)?advisory_|lo_(create|creat|from_bytea|put)$|lowrite$|pg_logical_emit_)'
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one.name);
    IF one.is_lock THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {OWNER}, {WORKER}, {API}', one.name);
    END IF;
  END LOOP;
END $$
"""  # noqa: S608 - a name of ours
