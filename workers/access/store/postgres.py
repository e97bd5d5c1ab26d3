"""Roles of PostgreSQL: groups that are granted to, logins that are in them, and row level security."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from sqlalchemy import Connection, text

from workers.access.store import roles, tables
from workers.access.store.tables import API, GROUPS, WORKER

#: They make and drop days' partitions, which only an owner can, and who may call them.
_FUNCTIONS = {
    "wedops_make_partition(text, date)": f"{WORKER}, {API}",
    "wedops_drop_partition(text, date)": WORKER,
}

_GRANTED = text(
    """
    SELECT c.relname, coalesce(r.rolname, 'public') AS grantee, a.privilege_type
    FROM pg_class c, LATERAL aclexplode(c.relacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND a.grantee <> c.relowner
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT c.relname, coalesce(r.rolname, 'public'), format('%s (%I)', a.privilege_type, t.attname)
    FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, LATERAL aclexplode(t.attacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relnamespace = current_schema()::regnamespace
    """
)
_POLICIES = text(
    """
    SELECT c.relname, p.polname, obj_description(p.oid, 'pg_policy') AS is_made_of, c.relrowsecurity
    FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
      AND (p.oid IS NOT NULL OR c.relrowsecurity)
    """
)


def are_known(db: Connection) -> bool:
    """Tell whether the groups are there: without, one login does everything, as it always could."""
    return bool(db.execute(text("SELECT to_regrole(:name) IS NOT NULL"), {"name": WORKER}).scalar_one())


def grant(db: Connection) -> None:
    """Give each group what it needs and take the rest, as the owner: only what differs is touched."""
    for statement in (*_statements(db), *_policy_statements(db)):
        db.exec_driver_sql(statement)


def listed() -> Iterator[str]:
    """Yield all that is granted in a database that has nothing granted yet."""
    together: dict[tuple[str, str], list[str]] = {}
    for (relation, group), given in tables.privileges().items():
        together.setdefault((group, ", ".join(sorted(given))), []).append(relation)
    for (group, some), relations in sorted(together.items()):
        yield f"GRANT {some} ON {', '.join(map(_named_as, sorted(relations)))} TO {group}"
    for table, policies in tables.policies().items():
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        for name, (groups, rows) in policies.items():
            yield _policy(table, name, groups, rows)


def _policy(table: str, name: str, groups: Iterable[str], rows: str) -> str:
    return f"CREATE POLICY {name} ON {table} TO {', '.join(groups)} USING ({rows}) WITH CHECK ({rows})"


def _statements(db: Connection) -> Iterator[str]:
    database = db.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    room = db.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    groups = ", ".join(dict.fromkeys(GROUPS.values()))
    if roles.is_ours_alone(db):
        yield f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"
        yield f"REVOKE ALL ON SCHEMA {room} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {database} TO {groups}"
    # A season arrives in a temporary table.
    yield f"GRANT TEMPORARY ON DATABASE {database} TO {WORKER}"
    yield f"GRANT USAGE ON SCHEMA {room} TO {groups}"
    for function, callers in _FUNCTIONS.items():
        yield f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"
        yield f"GRANT EXECUTE ON FUNCTION {function} TO {callers}"
    yield from _differing(db)


def _differing(db: Connection) -> Iterator[str]:
    missing, more = _differences(db)
    for (relation, group), some in more.items():
        yield f"REVOKE {', '.join(sorted(some))} ON {_named_as(relation)} FROM {group}"
    for (relation, group), some in missing.items():
        yield f"GRANT {', '.join(sorted(some))} ON {_named_as(relation)} TO {group}"


def _named_as(relation: str) -> str:
    return f"SEQUENCE {relation}" if relation in tables.SEQUENCES else relation


Privileges = dict[tuple[str, str], set[str]]


def _differences(db: Connection) -> tuple[Privileges, Privileges]:
    """Return what each group lacks and what it has too much, by (relation, group)."""
    groups = {*GROUPS.values(), "public"}
    has: Privileges = {}
    known = _relations(db) & {relation for relation, _ in tables.privileges()}
    for relation, grantee, privilege in db.execute(_GRANTED):
        # What others keep in the same schema is theirs to say.
        if grantee in groups and (relation in known or grantee != "public"):
            has.setdefault((relation, grantee), set()).add(privilege)
    # Before version 17 nobody but an owner can refresh the planner's statistics.
    knows_maintain = db.execute(text("SHOW server_version_num")).scalar_one() >= "170000"
    never = set() if knows_maintain else {tables.MAINTAIN}
    wanted = {place: set(given) - never for place, given in tables.privileges().items() if place[0] in known}
    missing = {place: some for place, given in wanted.items() if (some := given - has.get(place, set()))}
    more = {place: some for place, given in has.items() if (some := given - wanted.get(place, set()))}
    return missing, more


def _relations(db: Connection) -> set[str]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    return set(db.execute(text(query)).scalars())


def _policy_statements(db: Connection) -> Iterator[str]:
    wanted, (has, secured) = tables.policies(), _policies(db)
    yield from (f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in wanted if table not in secured)
    for table, policies in wanted.items():
        for name, (groups, rows) in policies.items():
            mark = sha256(f"{groups}{rows}".encode()).hexdigest()[:16]
            if has.pop((table, name), None) != mark:
                yield f"DROP POLICY IF EXISTS {name} ON {table}"
                yield _policy(table, name, groups, rows)
                yield f"COMMENT ON POLICY {name} ON {table} IS '{mark}'"
    yield from (f"DROP POLICY {name} ON {table}" for table, name in has)
    for table in sorted(secured - wanted.keys()):
        yield f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"


def _policies(db: Connection) -> tuple[dict[tuple[str, str], str | None], set[str]]:
    """Return what each policy was made of, and which tables have row level security."""
    # Policies of tables that are not ours are somebody else's.
    rows = [row for row in db.execute(_POLICIES) if row[0] in tables.TABLES]
    has = {(table, policy): made_of for table, policy, made_of, _ in rows if policy is not None}
    return has, {table for table, *_, is_secured in rows if is_secured}


def differences(db: Connection) -> Iterator[str]:
    """Yield what groups and logins may do beyond what they need, and what they lack."""
    missing, more = _differences(db)
    yield from (_named(places, "may do more than it needs") for places in _by_group(more))
    yield from (_named(places, "may not do what it needs") for places in _by_group(missing))
    if changes := list(_policy_statements(db)):
        yield f"row level security differs: {changes[0]}"
    for name, group, is_above, can_log_in in roles.members(db):
        if is_above and can_log_in:
            yield f"{name} of {group} is above all rules: it is a superuser, or passes row level security by"


def _by_group(found: Privileges) -> Iterable[tuple[str, Privileges]]:
    for group in sorted({group for _, group in found}):
        yield group, {place: some for place, some in found.items() if place[1] == group}


def _named(places: tuple[str, Privileges], what: str) -> str:
    group, found = places
    some = [f"{' '.join(sorted(given))} on {relation}" for (relation, _), given in sorted(found.items())]
    return f"{group} {what}: {', '.join(some[:3])}{f' and {len(some) - 3} more' if len(some) > 3 else ''}"


def is_superuser(db: Connection) -> bool:
    """Tell whether this login is above all rules."""
    query = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    return bool(db.execute(query).scalar_one())
