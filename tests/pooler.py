"""A real PgBouncer in front of the tests' PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.made import eventually
from workers.foundation import addresses, settings
from workers.processes import programs, servers


@contextmanager
def pgbouncer(*lines: str, mode: str = "transaction") -> Iterator[str]:
    """Yield its address; `lines` go into its configuration. Skips where there is none."""
    if not (program := shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")):
        pytest.skip("no pgbouncer on PATH (Debian's package of this name)")
    to, port = addresses.postgres(settings.servers().database_url), servers.free_port()
    # A folder that somebody unprivileged may look into.
    folder = Path(tempfile.mkdtemp(prefix="wedops-pgbouncer-"))
    users, ini = folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"wedops" "{to["password"]}"\n')
    ini.write_text(
        f"[databases]\n* = host=127.0.0.1 port={to['port']}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {users}\nadmin_users = wedops\n"
        f"unix_socket_dir =\ndefault_pool_size = 20\npool_mode = {mode}\n"
        + "".join(f"{line}\n" for line in lines)
    )
    folder.chmod(0o755)
    # PgBouncer does not run as root, as PostgreSQL does not.
    process = subprocess.Popen([program, str(ini)], stderr=subprocess.DEVNULL, **programs.unprivileged())
    url = f"postgresql://wedops:{to['password']}@127.0.0.1:{port}/{to['dbname']}"
    try:
        assert eventually(lambda: _answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
