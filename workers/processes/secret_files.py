"""The secrets of an installation in containers: a file each, mounted into who needs it and nobody else."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from workers.access.rules.roles import Logins, Role
from workers.access.store.tables import GROUPS
from workers.access.store.users import RULES, Server
from workers.access.usecases import grants
from workers.foundation.errors import ExpectedError
from workers.processes import servers
from workers.processes.authority import Authority

#: How the servers of docker-compose.yml are reached.
_CA = "/run/secrets/authority.pem"
_VALKEY = f"rediss://{{}}:{{}}@{{}}:6379/0?ssl_ca_certs={_CA}"
_POSTGRES = f"postgresql://{{}}:{{}}@postgres:5432/wedops?sslmode=verify-full&sslrootcert={_CA}"
#: Its services that others connect to.
_SERVERS = ("broker", "cache", "postgres", "api", "flower", "prometheus", "grafana")


class SecretEmpty(ExpectedError):
    """{path} is empty: put its secret back, or delete it to have one made"""


def write(folder: Path) -> list[str]:
    """Write what is not there yet, and certificates that end soon; return the names of what was written.

    Others can't enter the folder. Its files can be read: in a container somebody else reads them. Only the
    key of the authority is for no container.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    before = _contents(folder)

    def _kept(name: str, text: str) -> str:
        path = folder / name
        if not path.exists():
            path.write_text(text)
            path.chmod(0o644)
        if not (found := path.read_text()).strip():
            raise SecretEmpty(path=path)
        return found

    authority = Authority(folder, mode=0o644)
    for name in _SERVERS:
        authority.issue(name, (name, *servers.HOSTS))
    known = Logins(**{str(role): _kept(f"roles-{role}", f"a:{_secret()}") for role in Role})
    for name, text in _of(known):
        _kept(name, text)
    for name, begins in _BESIDE.items():
        _kept(name, f"{begins}{_secret()}")
    token = _kept("prometheus-token", _secret())
    _kept("read-tokens", f"prometheus:{token}")
    return sorted(name for name, content in _contents(folder).items() if before.get(name) != content)


def outdated(folder: Path) -> list[str]:
    """Return which files say something else than would be made of the roles' secrets now."""
    known = Logins(**{str(role): (folder / f"roles-{role}").read_text() for role in Role})
    return sorted(name for name, text in _of(known) if (folder / name).read_text() != text)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


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
