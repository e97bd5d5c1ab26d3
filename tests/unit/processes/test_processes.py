"""What dies or hangs is restarted; what is ended stays ended."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.made import eventually
from workers.foundation import clock
from workers.processes.supervisor import NoProcfile, Policy, ProcfileInvalid, Supervisor, read_procfile

#: Shows a sign of life like any process of ours, and has a child that must not be left behind.
LIVELY = "sh -c 'sleep 1000 & while :; do touch \"$WEDOPS_HEARTBEAT_FILE\"; sleep 0.1; done'"
QUICK = Policy(look_every=0.05, hung_after=1.0, ready_within=5.0, stop_within=2.0, pause_max=0.1)


def _supervise(folder: Path, commands: dict[str, str]) -> tuple[Supervisor, list[tuple[str, str]]]:
    seen: list[tuple[str, str]] = []
    return Supervisor(folder, commands, QUICK, lambda name, how: seen.append((name, how))), seen


def _pid(supervisor: Supervisor, name: str) -> int:
    [process] = [process for process in supervisor.processes if process.name == name]
    assert process.running
    return process.running.pid


def _living(session: int) -> list[str]:
    """Return what runs of a session; the dead that nobody has reaped yet do not."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            found += [fields[0]] if int(fields[3]) == session and fields[0] != "Z" else []
    return found


@pytest.mark.parametrize(("number", "how"), [(signal.SIGKILL, "died"), (signal.SIGSTOP, "hung")])
def test_a_process_that_dies_or_hangs_is_put_back_and_counted(tmp_path: Path, number: int, how: str) -> None:
    supervisor, seen = _supervise(tmp_path, {"worker": LIVELY})
    try:
        supervisor.start()
        first = _pid(supervisor, "worker")
        os.kill(first, number)
        until = clock.stopwatch() + 10
        supervisor.run(lambda: bool(seen) or clock.stopwatch() > until)
        assert seen == [("worker", how)]
        assert supervisor.restarts == 1
        assert _pid(supervisor, "worker") != first
        assert eventually(lambda: not _living(first))
    finally:
        supervisor.stop()
    assert eventually(lambda: not _living(_pid(supervisor, "worker")))


def test_who_is_silent_because_a_server_hangs_is_left_alone_until_it_answers(tmp_path: Path) -> None:
    supervisor, seen = _supervise(tmp_path, {"worker": LIVELY})
    hangs = [True]
    supervisor.server_hangs = lambda: hangs[0]
    try:
        supervisor.start()
        os.kill(_pid(supervisor, "worker"), signal.SIGSTOP)
        until = clock.stopwatch() + 2.5
        supervisor.run(lambda: clock.stopwatch() > until)
        assert seen == []
        # Once it answers, all have a while to show that they live.
        hangs[0] = False
        until = clock.stopwatch() + 1.5
        supervisor.run(lambda: clock.stopwatch() > until)
        assert seen == []
        until = clock.stopwatch() + 10
        supervisor.run(lambda: bool(seen) or clock.stopwatch() > until)
        assert seen == [("worker", "hung")]
    finally:
        supervisor.stop()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no Procfile: it names no process"),
        (b"# only a comment\n", "is no Procfile: it names no process"),
        (b"\x7fELF\x80\x00", "is no Procfile: it is no text"),
        (b'{"a": 1}', "line 1: write `name: command`"),
        (b"web: a\nweb: b\n", "line 2: write `name: command`; each name once"),
        (b"../web: a\n", "line 1"),
    ],
)
def test_what_is_no_procfile_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "Procfile").write_bytes(content)
    with pytest.raises((ProcfileInvalid, NoProcfile), match=re.escape(says)):
        read_procfile(tmp_path / "Procfile")
    with pytest.raises(NoProcfile, match="Is a directory"):
        read_procfile(tmp_path)


def test_it_says_why_a_process_died(tmp_path: Path) -> None:
    supervisor, seen = _supervise(tmp_path, {"worker": "sh -c 'echo the disk is full >&2; exit 1'"})
    try:
        supervisor.start()
        until = clock.stopwatch() + 10
        supervisor.run(lambda: bool(seen) or clock.stopwatch() > until)
        assert supervisor.processes[0].last_line() == "the disk is full"
    finally:
        supervisor.stop()


def test_beat_is_started_after_the_workers_are_ready(tmp_path: Path) -> None:
    order = tmp_path / "order"
    commands = {
        "beat": f"sh -c 'echo beat >> {order}; sleep 100'",
        "worker": f"sh -c 'sleep 0.3; echo worker >> {order}; {LIVELY[7:]}",
    }
    supervisor, _ = _supervise(tmp_path / "run", commands)
    try:
        supervisor.start()
        until = clock.stopwatch() + 5
        supervisor.run(lambda: len(order.read_text().split()) == 2 or clock.stopwatch() > until)
        assert order.read_text().split() == ["worker", "beat"]
    finally:
        supervisor.stop()


def test_a_procfile_is_read_and_a_bad_line_named(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("# two\n\nweb: run --port ${PORT:-80}\nbeat: beat\n")
    assert read_procfile(path) == {"web": "run --port ${PORT:-80}", "beat": "beat"}
    path.write_text("web: run\nbeat\n")
    with pytest.raises(ProcfileInvalid, match="line 2: write `name: command`"):
        read_procfile(path)
