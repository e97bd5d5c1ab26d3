"""Embedded servers: restarted on the same port with the same data, and never left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests import ROOT
from tests.made import eventually
from workers.processes import programs, servers
from workers.processes.system import System


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="wedops-servers-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_server_that_dies_is_put_back_with_its_data(home: Path) -> None:
    system = System(home, [servers.start_valkey(home, "broker", servers.BROKER | {"appendfsync": "always"})])
    try:
        before = system.started[0]
        with Redis.from_url(before.url, decode_responses=True) as client:
            client.set("kept", "yes")
            before.process.kill()
            before.process.wait()
            system.look()
            assert system.started[0].url == before.url
            assert client.get("kept") == "yes"
    finally:
        system.started[0].stop()


def test_a_server_ends_with_the_process_that_started_it(home: Path) -> None:
    code = f"""
import time
from pathlib import Path
from workers.processes import servers
print(servers.start_valkey(Path({str(home)!r}), "cache", servers.CACHE).process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    assert eventually(lambda: not _runs(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as somebody else")
def test_a_folder_that_lets_nobody_in_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "private"
    closed.mkdir(mode=0o700)
    with pytest.raises(programs.FolderClosed, match=rf"{closed} lets nobody in but its owner.*chmod o\+x"):
        servers.start_postgres(closed / "wedops-state")


def test_a_disk_without_room_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.check_room(tmp_path)
    monkeypatch.setattr(servers, "NEEDED", 10**9)
    with pytest.raises(servers.TooFull, match=r"only \d+ MB are free at .*; make room"):
        servers.check_room(tmp_path)


@pytest.mark.parametrize("state", ["/dev/null", "/dev/null/state", "/proc/state", "x" * 5000])
def test_a_state_folder_that_is_none_is_one_line(state: str) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.wedops", "up", "--seconds", "1"],
        cwd=ROOT, env=os.environ | {"WEDOPS_STATE": state}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert made.returncode == 1
    assert made.stderr.startswith("wedops: ")
    assert made.stderr.count("\n") == 1
    assert "name another place" in made.stderr


def _runs(pid: int) -> bool:
    try:
        return "Z" not in (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_program_that_is_nowhere_is_named_with_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(programs, "DEBIANS", home)
    with pytest.raises(programs.ServerMissing, match="no valkey-server found; install the extra `local`"):
        servers.start_valkey(home, "broker", servers.BROKER)
    with pytest.raises(programs.ServerMissing, match="WEDOPS_DATABASE_URL"):
        servers.start_postgres(home)


def test_a_server_that_can_not_start_shows_the_end_of_its_log(home: Path) -> None:
    with pytest.raises(servers.ServerFailed, match="nonsense"):
        servers.start_valkey(home, "broker", {"nonsense": "yes"})
