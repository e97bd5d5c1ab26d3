"""The servers of a system on one machine, and as whom each of its processes comes in there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from workers.access.rules import roles
from workers.access.rules.roles import Logins, Role
from workers.access.store.users import Server
from workers.access.usecases import grants
from workers.foundation import logs, settings
from workers.foundation.errors import ExpectedError
from workers.processes import programs, servers
from workers.processes.authority import Authority

log = logs.get("up")


#: Where the servers are.
ADDRESSES = ("WEDOPS_BROKER_URL", "WEDOPS_CONNECTIONS_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL")


def environment(process: str, addresses: Mapping[str, str], known: Logins) -> dict[str, str]:
    """Return the environment of a process: its role's logins, and no secret that is not for it."""
    role = roles.of_process(process)
    given = dict(os.environ)
    if any(known.of(one) for one in Role):
        _take_owners(given, addresses)
        if role and known.of(role):
            given |= {name: grants.as_role(url, role, known) for name, url in addresses.items()}
    return {
        name: value
        for name, value in given.items()
        if roles.may_have(role, name, may_be_secret=settings.may_be_secret(name))
    }


def _take_owners(given: dict[str, str], addresses: Mapping[str, str]) -> None:
    """Take the owner's addresses out of an environment, by whichever way they came into it."""
    for name in (*addresses, "REDIS_URL"):
        given.pop(name, None)
        given.pop(f"{name}_FILE", None)
    from_files = set(given.get(settings.FROM_FILES, "").split()) - addresses.keys()
    given[settings.FROM_FILES] = " ".join(sorted(from_files))


class AddressWithoutTls(ExpectedError):
    """{variable} is an address without TLS, and --tls is on: write {remedy}, or start without it"""


def _check_given() -> None:
    """Refuse servers of others that are reached without TLS; raises AddressWithoutTls."""
    for variable in ADDRESSES:
        url = os.environ.get(variable, "rediss://")
        is_postgres = url.startswith("postgres")
        safe = "sslmode=verify-full" in url if is_postgres else url.startswith("rediss")
        if not safe:
            remedy = "?sslmode=verify-full" if is_postgres else "rediss://"
            raise AddressWithoutTls(variable=variable, remedy=remedy)


@dataclass
class System:
    """What was started, to be ended in reverse. Others' servers keep the logins that their addresses have."""

    home: Path
    started: list[servers.Server] = field(default_factory=list)
    #: By variable, the address of what was started here.
    ours: dict[str, str] = field(default_factory=dict)
    #: Vouches for all that is started here, where all speak TLS.
    tls: Authority | None = None

    @cached_property
    def logins(self) -> Logins:
        """Return the secrets of all roles, each in a file of its own; the owner's is that of the servers."""
        secrets = {str(role): servers.password(self.home, f"secrets/{role}") for role in Role}
        secrets[Role.OWNER] = servers.password(self.home)
        return Logins(**{role: f"local:{secret}" for role, secret in secrets.items()})

    def start(self) -> None:
        """Start each server that no variable names, and log in as the owner.

        Raises ServerMissing, TlsMissing, ServerFailed, OtherVersion, TooFull.
        """
        servers.check_room(self.home)
        # Whether it can start is known before anything does.
        if self.tls:
            _check_given()
        if "WEDOPS_DATABASE_URL" not in os.environ:
            programs.postgres(self.home, servers.data_of(self.home), tls=self.tls is not None)
        with_connections = "WEDOPS_CONNECTIONS_URL" not in os.environ
        for server, options in ((Server.BROKER, servers.BROKER), (Server.CACHE, servers.CACHE)):
            if (variable := f"WEDOPS_{server}_URL".upper()) not in os.environ:
                users = grants.user_lines(server, self.logins, with_connections=with_connections)
                started = servers.start_valkey(self.home, server, options, users=users, tls=self.tls)
                self._add(variable, started)
        if "WEDOPS_DATABASE_URL" not in os.environ:
            self._add("WEDOPS_DATABASE_URL", servers.start_postgres(self.home, tls=self.tls))
            grants.prepare(self.logins)
        self.log_in(Role.OWNER)

    def _add(self, variable: str, server: servers.Server) -> None:
        self.started.append(server)
        self.ours[variable] = os.environ[variable] = server.url

    def log_in(self, role: Role) -> None:
        """Be in this role from now on."""
        os.environ.update({name: grants.as_role(url, role, self.logins) for name, url in self.ours.items()})

    def environment(self, process: str) -> dict[str, str]:
        """Return the environment of a process."""
        return environment(process, self.ours, self.logins)

    def look(self) -> bool:
        """Put back a server that died; its data and its port are the same."""
        for place, server in enumerate(self.started):
            if server.process.poll() is not None:
                log.error("server restarted", server=server.name, reason="died")
                self.started[place] = server.again()
        return False

    def stop(self) -> None:
        """End what was started."""
        for server in reversed(self.started):
            server.stop()
