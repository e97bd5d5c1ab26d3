"""Granting each role what it needs, on all servers; and what they allow that nobody needs."""

from collections.abc import Iterator, Mapping
from hashlib import sha256

from redis.exceptions import NoPermissionError

from workers.access.rules.roles import Logins, Role
from workers.access.store import postgres, roles, valkey
from workers.access.store import users as rules
from workers.access.store.tables import GROUPS
from workers.access.store.users import Server
from workers.foundation import database, redis, settings
from workers.foundation.errors import ExpectedError


class OwnerNeeded(ExpectedError):
    """{server} lets this login grant nothing; use the owner's, or run by hand what `wedops grants` prints"""


class OneServer(ExpectedError):
    """cache and broker are one server: a role's rules there would undo each other; set WEDOPS_CACHE_URL to
    another one"""


def logins() -> Logins:
    """Return the secrets of all roles, ROLES_…. Raises SettingInvalid."""
    return settings.read(Logins)


def user_lines(server: Server, known: Logins, *, with_connections: bool) -> list[str]:
    """Return the lines of a file of users for a Valkey that we start ourselves."""
    kept = {server, *({Server.CONNECTIONS} if server is Server.BROKER and with_connections else ())}
    return [
        valkey.line(role, own, known.of(role)) for role, own in rules.rules_of(kept).items() if known.of(role)
    ]


def owner_line(secret: str) -> str:
    """Return what defines who may do everything on a Valkey, in a file of users."""
    return f"user {Role.OWNER} on #{sha256(secret.encode()).hexdigest()} ~* &* +@all"


def as_role(url: str, role: Role, known: Logins) -> str:
    """Return the address of a server with a role's newest login in the place of what stands there."""
    name, secret = next(iter(known.of(role).items()))
    scheme, _, rest = url.partition("://")
    user = roles.login(role, name) if scheme.startswith("postgres") else str(role)
    return f"{scheme}://{user}:{secret}@{rest.rpartition('@')[2]}"


def printed() -> Iterator[tuple[str, list[str]]]:
    """Yield each server and what to run there by hand; SECRET stands for what only the role knows."""
    groups = [f"CREATE ROLE {group} NOLOGIN" for group in dict.fromkeys(GROUPS.values())]
    name, group = roles.login(Role.WORKER, "a"), GROUPS[Role.WORKER]
    # And so on: one for each secret of a role.
    login = f"CREATE ROLE {name} LOGIN PASSWORD 'SECRET' IN ROLE {group}"
    yield "PostgreSQL", [*groups, login, *postgres.listed()]
    for server, kept in _servers().items():
        users = rules.rules_of(kept).items()
        yield server, [f"ACL SETUSER {role} reset on >SECRET {own}" for role, own in users]


def _servers() -> Mapping[str, set[Server]]:
    if settings.servers().connections_url:
        return {str(server): {server} for server in Server}
    return {"broker and connections": {Server.BROKER, Server.CONNECTIONS}, "cache": {Server.CACHE}}


def _clients() -> Iterator[tuple[str, redis.Client, set[Server]]]:
    for name, kept in _servers().items():
        if Server.CACHE in kept:
            yield name, redis.cache_server(), kept
        else:
            found = redis.registry() if Server.BROKER in kept else redis.connections()
            yield name, found, kept


def prepare(known: Logins) -> None:
    """Make groups and logins in the database, before its tables are made. Raises OwnerNeeded."""
    with database.transaction() as db:
        if not roles.may_make_roles(db):
            raise OwnerNeeded(server="PostgreSQL")
        roles.make_roles(db, {role: known.of(role) for role in Role})


def _prepared(known: Logins) -> list[str]:
    """Make groups and logins, where this login may; else say so, if they are there."""
    with database.transaction() as db:
        known_already, may_make = postgres.are_known(db), roles.may_make_roles(db)
    if may_make or not known_already:
        prepare(known)
        return []
    return ["this login makes no roles in PostgreSQL: logins stay as they are; a superuser's makes them"]


def grant_tables() -> None:
    """Give the groups what they need of the tables that there are now, if there are groups."""
    with database.transaction() as db:
        if postgres.are_known(db):
            postgres.grant(db)


def apply(known: Logins) -> list[str]:
    """Make everything as it should be, on all servers; return what is to be looked after by hand.

    Safe to repeat, and while all works: who is let in stays in. Raises OwnerNeeded, OneServer.
    """
    urls = settings.servers()
    if urls.cache_url.rpartition("@")[2] == urls.broker_url.rpartition("@")[2]:
        raise OneServer
    left = _prepared(known)
    grant_tables()
    for name, client, kept in _clients():
        users = {role: (own, known.of(role)) for role, own in rules.rules_of(kept).items()}
        try:
            if not valkey.grant(client, users):
                left.append(
                    f"the server of {name} forgets its users when it restarts; start it with an aclfile"
                )
        except NoPermissionError as error:
            raise OwnerNeeded(server=f"the server of {name}") from error
    return left


def problems() -> Iterator[str]:
    """Yield what roles may do beyond what they need, what they lack, and who comes in without one."""
    with database.transaction() as db:
        if postgres.are_known(db):
            yield from postgres.differences(db)
        if postgres.is_superuser(db):
            yield (
                "note: this login is a superuser in PostgreSQL, above all rules; give each process its "
                "role's (`wedops grants`)"
            )
    for name, client, kept in _clients():
        yield from _problems_of(name, client, kept)


def _problems_of(name: str, client: redis.Client, kept: set[Server]) -> Iterator[str]:
    try:
        if valkey.is_open(client):
            yield f"note: the server of {name} lets anybody in; set a password, or users by `wedops grants`"
        yield from (f"{name}: {one}" for one in valkey.differences(client, rules.rules_of(kept)))
    except NoPermissionError:
        yield f"note: this login may not see who may do what on the server of {name}"
