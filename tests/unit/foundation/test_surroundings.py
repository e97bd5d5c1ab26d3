"""What surrounds a process.

Secrets in files, folders of counts, Kubernetes' variables, the Python that make finds.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.made import run_python
from workers.access.rules import edge
from workers.connections.formats import permits
from workers.foundation import settings, signatures
from workers.foundation.settings import SettingInvalid
from workers.measurements.rules.limits import Policy


def test_a_secret_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    monkeypatch.delenv("WEDOPS_DATABASE_URL", raising=False)
    monkeypatch.setenv("WEDOPS_DATABASE_URL_FILE", str(tmp_path / "url"))
    settings.settle_environment()
    assert settings.servers().database_url == "postgresql://u:p@h/d"
    settings.settle_environment()


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file or directory; name a file to read"), (b"", "is empty"), (b"\xff\xfe", "no text")],
)
def test_a_file_that_holds_no_secret_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    monkeypatch.delenv("CONNECTIONS_PERMIT_KEYS")
    monkeypatch.setenv("CONNECTIONS_PERMIT_KEYS_FILE", str(tmp_path / "keys"))
    with pytest.raises(SettingInvalid, match=f"CONNECTIONS_PERMIT_KEYS_FILE.*{says}"):
        settings.settle_environment()


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "login").write_text("a:b")
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "c:d")
    monkeypatch.setenv("FLOWER_BASIC_AUTH_FILE", str(tmp_path / "login"))
    with pytest.raises(SettingInvalid, match="is set, too; keep one of them"):
        settings.settle_environment()


def test_our_own_files_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDOPS_HEARTBEAT_FILE", "/nowhere")
    settings.settle_environment()
    assert os.environ["WEDOPS_HEARTBEAT_FILE"] == "/nowhere"


def test_what_kubernetes_puts_there_for_a_service_is_no_port_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "FLOWER_PORT": "tcp://10.0.0.1:80",
        "API_PORT": "udp://10.0.0.1:53",
        "GATEWAY_PORT": "sctp://10.0.0.1:1",
    }
    for variable, value in (links | {"OTHER_PORT": "5555"}).items():
        monkeypatch.setenv(variable, value)
    settings.settle_environment()
    assert not links.keys() & os.environ.keys()
    assert os.environ["OTHER_PORT"] == "5555"


@pytest.mark.parametrize("module", ["workers.app", "workers.http.routes", "workers.cli.main"])
def test_every_process_reads_its_secrets_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    (tmp_path / "url").write_text("redis://:from-a-file@127.0.0.1:1/0")
    monkeypatch.delenv("WEDOPS_BROKER_URL", raising=False)
    monkeypatch.setenv("WEDOPS_BROKER_URL_FILE", str(tmp_path / "url"))
    run = (
        "workers.cli.main.wedops(['dead-letters', '--help'], standalone_mode=False)"
        if module == "workers.cli.main"
        else "pass"
    )
    code = (
        f"import os, {module}\n{run}\nfrom workers.foundation import "
        "settings\nprint(settings.servers().broker_url)"
    )
    shown = run_python(code)
    assert shown.stdout.strip().endswith("redis://:from-a-file@127.0.0.1:1/0"), shown.stderr


COUNT = "from workers.foundation import telemetry; telemetry.tasks.labels('a', 'ok').inc()"
READ = (
    "from workers.foundation import telemetry\n"
    "from prometheus_client import generate_latest\n"
    "print(generate_latest(telemetry.collector()).decode())"
)


@pytest.mark.parametrize("spoilt", [b"", b"\x7f" * 100, b"\x10\x00\x00\x00\x00\x00\x00\x00junkjunkjunk"])
def test_one_bad_file_of_counts_costs_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: bytes
) -> None:
    counts = tmp_path / "is" / "made"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(counts))
    assert run_python(COUNT).returncode == 0
    (counts / "counter_elsewhere-1.db").write_bytes(spoilt)
    shown = run_python(READ)
    assert 'wedops_tasks_total{outcome="ok",task="a"} 1.0' in shown.stdout
    # Once it is old, who starts next takes it out.
    os.utime(counts / "counter_elsewhere-1.db", (1, 1))
    assert run_python(COUNT).returncode == 0
    assert not (counts / "counter_elsewhere-1.db").exists()
    assert 'wedops_tasks_total{outcome="ok",task="a"} 2.0' in run_python(READ).stdout


def _make(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("make")
    assert program
    return subprocess.run(
        [program, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what `make install` reads."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _fake_python(folder: Path, version: str) -> Path:
    path = folder / "old-python"
    path.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python {version}'\nexit 1\n")
    path.chmod(0o755)
    return path


def test_a_python_that_is_too_old_is_said_before_anything_is_made(checkout: Path) -> None:
    made = _make(checkout, "install", f"PYTHON={_fake_python(checkout, '3.9.1')}")
    assert made.returncode != 0
    assert "needs Python 3.11 or newer" in made.stdout
    assert "Python 3.9.1" in made.stdout
    assert not (checkout / ".venv").exists()


def test_a_venv_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python")
    (checkout / ".venv" / "installed").touch()
    # -n: say what would be done. An unbroken one would have nothing to do.
    assert "venv --clear .venv" in _make(checkout, "-n", "install").stdout


def _put(folder: Path, variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a secret's file anew, as who rotates it does, and let a second pass."""
    (folder / "next").write_text(text)
    (folder / "next").rename(folder / variable)
    monkeypatch.setattr(settings, "_looked_at", 0.0)


KEYS = "n" * 32


@pytest.mark.parametrize(
    ("variable", "good", "better", "bad", "read"),
    [
        (
            "WEDOPS_DATABASE_URL",
            "postgresql://u:one@h/d",
            "postgresql://u:two@h/d",
            "postgres.example.org",
            lambda: settings.servers().database_url,
        ),
        ("CONNECTIONS_PERMIT_KEYS", f"a:{KEYS}", f"b:{KEYS},a:{KEYS}", "b:short", permits.keys),
        ("COMMANDS_KEYS", f"wedops:{KEYS}", f"wedops:{KEYS},s:{KEYS}", KEYS, signatures.policy),
        ("METRICS_INGEST_TOKENS", f"a:{KEYS}", f"b:{KEYS} a:{KEYS}", "a b", lambda: settings.read(Policy)),
        ("API_READ_TOKENS", f"a:{KEYS}", f"b:{KEYS} a:{KEYS}", "a b", lambda: settings.read(edge.Policy)),
    ],
)
def test_a_slip_of_the_pen_in_a_file_that_rotates_stops_nobody(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    good: str,
    better: str,
    bad: str,
    read: Callable[[], object],
) -> None:
    monkeypatch.setenv(settings.FROM_FILES, "")
    monkeypatch.setenv(variable, bad)
    with pytest.raises(SettingInvalid, match=variable):
        read()
    monkeypatch.delenv(variable)
    _put(tmp_path, variable, good, monkeypatch)
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / variable))
    settings.settle_environment()
    first = read()
    _put(tmp_path, variable, bad, monkeypatch)
    assert read() == first
    _put(tmp_path, variable, better, monkeypatch)
    assert read() != first
