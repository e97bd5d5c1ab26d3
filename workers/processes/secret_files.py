"""The secrets of an installation in containers: a file each, mounted into who needs it and nobody else."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from workers.access.rules.roles import Logins, Role
from workers.access.store.tables import GROUPS
from workers.access.store.users import RULES, Server
from workers.access.usecases import grants

#: What the servers are called in docker-compose.yml.
_VALKEY, _POSTGRES = "redis://{}:{}@{}:6379/0", "postgresql://{}:{}@postgres:5432/wedops"


def write(folder: Path) -> list[str]:
    """Write what is not there yet; return the names of what was written.

    Others can't enter the folder. Its files can be read: in a container somebody else reads them.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[str] = []

    def _kept(name: str, text: str) -> str:
        path = folder / name
        if not path.exists():
            path.write_text(text)
            path.chmod(0o644)
            written.append(name)
        return path.read_text()

    known = Logins(**{str(role): _kept(f"roles-{role}", f"a:{_secret()}") for role in Role})
    for name, text in _of(known):
        _kept(name, text)
    for name, begins in _BESIDE.items():
        _kept(name, f"{begins}{_secret()}")
    token = _kept("prometheus-token", _secret())
    _kept("read-tokens", f"prometheus:{token}")
    return written


#: What is no login of a server: a file, and what stands before its secret.
_BESIDE = {
    "permit-keys": "a:",
    "commands-keys": "wedops:",
    "metrics-tokens": "a:",
    "flower-login": "operator:",
    "grafana-password": "",
}


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _of(known: Logins) -> Iterator[tuple[str, str]]:
    """Yield what servers and processes get of the roles' secrets."""
    [owner] = known.of(Role.OWNER).values()
    yield "postgres-password", owner
    yield "database-owner", _POSTGRES.format("wedops", owner)
    for server in (Server.BROKER, Server.CACHE):
        users = grants.user_lines(server, known, with_connections=True)
        yield f"{server}-users", "\n".join(["user default off", grants.owner_line(owner), *users, ""])
        yield f"{server}-owner", _VALKEY.format(Role.OWNER, owner, server)
        kept = RULES[server] | (RULES[Server.CONNECTIONS] if server is Server.BROKER else {})
        for role in kept:
            [secret] = known.of(role).values()
            yield f"{server}-{role}", _VALKEY.format(role, secret, server)
    for role in set(GROUPS) - {Role.OWNER}:
        yield f"database-{role}", grants.as_role(_POSTGRES.format("", "", ""), role, known)
