"""Real servers for the tests.

In a folder of their own, on free ports, started when first needed, ended with the tests. Their addresses are
settled before anything of ours is imported, so that no test has to make a client forget another's.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.access.rules.roles import Logins, Role
from workers.foundation import settings
from workers.processes import servers

HOME = Path(tempfile.mkdtemp(prefix="wedops-tests-"))
PORTS = {name: servers.free_port() for name in ("broker", "cache", "postgres")}
_secret = servers.password(HOME)
URLS = {
    "WEDOPS_BROKER_URL": f"redis://owner:{_secret}@{servers.LOOPBACK}:{PORTS['broker']}/0",
    "WEDOPS_CACHE_URL": f"redis://owner:{_secret}@{servers.LOOPBACK}:{PORTS['cache']}/0",
    "WEDOPS_DATABASE_URL": f"postgresql://wedops:{_secret}@{servers.LOOPBACK}:{PORTS['postgres']}/wedops",
}
# Tests' regions act at once, and the machine that runs them is busy: that strain is none of theirs.
os.environ.update(
    URLS,
    CONNECTIONS_PERMIT_KEYS=f"test:{_secret}",
    SCALING_NEW_REGIONS="live",
    SCALING_CPU="9",
    SCALING_MEMORY="9",
)
#: The tests' own secrets of all roles but the owner, as whom they come in.
LOGINS = Logins(**{str(role): f"local:{role}-secret-of-the-tests" for role in Role if role is not Role.OWNER})
#: Data of tests is worth no disk write.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _surroundings() -> Iterator[None]:
    """Leave the next test the environment of this one: a secret read from a file is set there for good."""
    before = dict(os.environ)
    yield
    settings._files.clear()
    settings._good.clear()
    # Only what differs: other threads may read it meanwhile.
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@pytest.fixture(scope="session")
def real_servers() -> Iterator[list[servers.Server]]:
    """Yield a Valkey for broker and registry, one for the cache, and a PostgreSQL with our schema."""
    from workers.app import app
    from workers.foundation import database, schema

    HOME.chmod(0o711)
    started: list[servers.Server] = []
    try:
        started.append(servers.start_valkey(HOME, "broker", servers.BROKER, port=PORTS["broker"]))
        started.append(servers.start_valkey(HOME, "cache", servers.CACHE, port=PORTS["cache"]))
        started.append(servers.start_postgres(HOME, port=PORTS["postgres"], options=QUICK))
        app.loader.import_default_modules()
        schema.upgrade()
        yield started
    finally:
        database.engine().dispose()
        for server in reversed(started):
            server.stop()


@pytest.fixture
def roles(world: list[servers.Server]) -> Logins:
    """Grant each role what it needs, on all three servers, with the tests' secrets."""
    from workers.access.usecases import grants

    grants.apply(LOGINS)
    return LOGINS


@pytest.fixture
def enter(roles: Logins, monkeypatch: pytest.MonkeyPatch) -> Callable[[Role], None]:
    """Return what has this process log in as a role, wherever that has a login."""
    from workers.access.usecases import grants

    def _enter(role: Role) -> None:
        for name, url in URLS.items():
            monkeypatch.setenv(name, grants.as_role(url, role, roles))

    return _enter


@pytest.fixture
def world(real_servers: list[servers.Server]) -> list[servers.Server]:
    """Yield the servers, empty but for schema and functions."""
    from tests.made import empty_servers

    empty_servers()
    return real_servers
