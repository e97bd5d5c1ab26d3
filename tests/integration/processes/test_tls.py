"""Servers that speak TLS and nothing else: those that we start, and those of docker-compose.yml."""

import re
import shlex
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import yaml
from redis import Redis
from redis.exceptions import RedisError

from tests import ROOT
from tests.made import eventually
from workers.cli import certificates
from workers.foundation import clock
from workers.foundation.moments import MachineMoment
from workers.processes import folders, programs, secret_files, servers
from workers.processes.authority import Authority
from workers.processes.system import AddressWithoutTls, System


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="wedops-tls-"))
    try:
        programs.valkey(folder, tls=True)
        programs.postgres(folder, tls=True)
    except programs.TlsMissing as missing:
        pytest.skip(str(missing))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _pings(url: str) -> bool:
    with Redis.from_url(url) as client, suppress(RedisError, ssl.SSLError):
        return bool(client.ping())
    return False


def _selects(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=3) as db:
        return db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    return False


def _says_when_it_ends(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDOPS_BROKER_URL", broker)
    assert list(certificates.ending()) == []
    later = MachineMoment(clock.machine_now() + timedelta(days=350))
    with monkeypatch.context() as patch:
        patch.setattr(clock, "machine_now", lambda: later)
        [said] = certificates.ending()
    assert said.startswith("the certificate of the server of broker ends on")


def test_what_we_start_speaks_tls_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, other = Authority(home / "tls"), Authority(home / "other").certificate
    with ExitStack() as stack:
        started = [
            servers.start_valkey(home, "broker", servers.BROKER, tls=tls),
            servers.start_postgres(home, tls=tls),
        ]
        for one in started:
            stack.callback(one.stop)
        [broker, postgres] = (one.url for one in started)
        ca = str(tls.certificate)
        assert _pings(broker)
        assert not _pings(broker.replace("rediss:", "redis:").partition("?")[0])
        assert not _pings(broker.replace(ca, str(other)))
        assert _selects(postgres)
        assert not _selects(postgres.replace("verify-full", "disable"))
        assert not _selects(postgres.replace(ca, str(other)))
        _says_when_it_ends(broker, monkeypatch)
        system = System(home, started, tls=tls)
        started[0].process.kill()
        started[0].process.wait()
        system.look()
        stack.callback(system.started[0].stop)
        assert system.started[0].url == broker, "put back as it was"


def test_data_of_another_version_are_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = servers.data_of(home)
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    for name in ("WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL"):
        monkeypatch.delenv(name)
    system = System(home)
    with pytest.raises(programs.OtherVersion, match="has data of PostgreSQL 9"):
        system.start()
    assert not (home / "broker").exists()


def test_others_servers_are_reached_by_tls_too(home: Path) -> None:
    with pytest.raises(AddressWithoutTls, match="WEDOPS_BROKER_URL is an address without TLS"):
        System(home, tls=Authority(home / "tls")).start()


def test_a_folder_may_be_called_anything(home: Path) -> None:
    odd = home / """x %y'z"\\+&#;é"""
    odd.mkdir()
    home.chmod(0o711)
    tls = Authority(odd / "tls")
    with ExitStack() as stack:
        for start, answers in (
            (lambda: servers.start_valkey(odd, "broker", servers.BROKER, tls=tls), _pings),
            (lambda: servers.start_postgres(odd, tls=tls), _selects),
        ):
            server = start()
            stack.callback(server.stop)
            assert answers(server.url)


COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def _placed(text: str, home: Path, port: int) -> str:
    """Return a command or an address of docker-compose.yml as it is on this machine."""
    text = text.replace("/run/secrets", f"{home}/secrets").replace("/data/", f"{home}/")
    text = re.sub(r"@(broker|cache|postgres):\d+", f"@localhost:{port}", text)
    return text.replace("--tls-port 6379", f"--tls-port {port} --bind 127.0.0.1 --dir {home}")


@pytest.mark.parametrize("name", ["broker", "cache"])
def test_a_valkey_of_compose_lets_in_who_has_its_address(name: str, home: Path) -> None:
    secret_files.write(home / "secrets")
    command, port = shlex.split(COMPOSE[name]["command"]), servers.free_port()
    [*shell, script] = command
    with subprocess.Popen([*shell, _placed(script, home, port)], start_new_session=True) as process:
        try:
            for role in ("owner", "worker"):
                url = _placed((home / "secrets" / f"{name}-{role}").read_text(), home, port)
                assert eventually(lambda url=url: _pings(url)), role  # type: ignore[misc]
            check = COMPOSE[name]["healthcheck"]["test"][1].replace("valkey-cli", f"valkey-cli -p {port}")
            said = subprocess.run(["/bin/sh", "-c", _placed(check, home, port)], check=False)
            assert said.returncode == 0
        finally:
            process.terminate()


def test_the_postgresql_of_compose_lets_in_who_has_its_address(home: Path) -> None:
    secret_files.write(home / "secrets")
    shutil.copy(home / "secrets/postgres-password", home / "password")
    # Its image is not here; what it is told is, and goes above what we say ourselves.
    places = {
        "/run/postgresql/server.key": home / "secrets/postgres.key",
        "/run/secrets/postgres.pem": home / "secrets/postgres.pem",
        "/etc/postgresql/pg_hba.conf": ROOT / "deploy/postgresql/pg_hba.conf",
    }
    (home / "postgres").mkdir()
    options = []
    [*_, script] = shlex.split(COMPOSE["postgres"]["command"])
    for word in re.findall(r"-c (\S+)", script):
        name, _, value = word.partition("=")
        if value in places:
            value = folders.written(home / "postgres" / name, places[value].read_text())
        options.append(f"{name}={value}")
    assert {one.partition("=")[0] for one in options} >= {"ssl", "ssl_cert_file", "ssl_key_file", "hba_file"}
    port, ca = servers.free_port(), Authority(home / "secrets")
    server = servers.start_postgres(home, port=port, options=tuple(options), tls=ca)
    try:
        own = _placed((home / "secrets/database-owner").read_text(), home, port)
        assert _selects(own)
        assert not _selects(own.replace("verify-full", "disable"))
    finally:
        server.stop()
