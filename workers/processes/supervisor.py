"""The supervisor: starts the Procfile's processes, and puts back what died or hung."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

from workers.foundation import clock, heartbeat, logs
from workers.foundation.errors import ExpectedError
from workers.processes.servers import die_with_parent

log = logs.get("supervision")

#: What starts when the others are ready: the watch would miss what is only about to come.
LAST = ("beat", "watch")


class ProcfileInvalid(ExpectedError):
    """{path}, line {line}: write `name: command`; each name once: letters, digits, dashes, underscores"""


class NoProcfile(ExpectedError):
    """{path} is no Procfile: {why}"""


@dataclass(frozen=True)
class Policy:
    """A process that shows no sign of life for `hung_after` seconds is killed.

    One that keeps dying is restarted slower.
    """

    look_every: float = 0.2
    hung_after: float = 4.0
    ready_within: float = 60.0
    stop_within: float = 10.0
    steady_after: float = 10.0
    pause_max: float = 4.0


def read_procfile(path: Path) -> dict[str, str]:
    """Return the commands by process name; raises ProcfileInvalid, NoProcfile."""
    commands: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoProcfile(path=path, why=getattr(error, "strerror", None) or "it is no text") from None
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            name, colon, command = line.partition(":")
            if (
                not (re.fullmatch(r"\s*[A-Za-z0-9_-]+\s*", name) and colon and command.strip())
                or name.strip() in commands
            ):
                raise ProcfileInvalid(path=path, line=number)
            commands[name.strip()] = command.strip()
    if not commands:
        raise NoProcfile(path=path, why="it names no process")
    return commands


@dataclass
class Process:
    """One line of the Procfile, and what runs of it."""

    name: str
    command: str
    sign: Path
    log: Path
    environment: Callable[[str], Mapping[str, str]]
    running: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    again_at: float = 0.0
    pause: float = 0.0
    touched: int = 0
    seen: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own, so that all it leaves can be ended with it."""
        self.sign.unlink(missing_ok=True)
        environment = {
            **self.environment(self.name),
            heartbeat.VARIABLE: str(self.sign),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        with self.log.open("ab") as sink:
            self.running = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {self.command}"],
                env=environment,
                umask=0o077,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        self.started = clock.stopwatch()

    def send(self, number: int) -> None:
        """Signal it, if it runs."""
        if self.running and self.running.poll() is None:
            self.running.send_signal(number)

    def end_all(self) -> None:
        """Kill what is left of its session; a killed worker may leave pool children behind."""
        if self.running:
            try:
                os.killpg(self.running.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.running.wait()

    def last_line(self) -> str:
        """Return the last line of its log: mostly why it died."""
        with suppress(OSError), self.log.open("rb") as log_file:
            log_file.seek(max(0, self.log.stat().st_size - 2_000))
            lines = log_file.read().decode(errors="replace").split("\n")
            return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "")
        return ""

    def silent_for(self, at: float) -> float:
        """Return for how many seconds it showed no sign of life.

        0 when it never did: it is starting, or shows none. Measured from when a change of the file was seen,
        so that no step of the wall clock makes everybody look hung.
        """
        touched = self.sign.stat().st_mtime_ns if self.sign.exists() else 0
        if touched != self.touched:
            self.touched, self.seen = touched, at
        return at - self.seen if touched else 0.0


@dataclass
class Supervisor:
    """Keeps processes running until told to stop. `on_restart` is called with a name and `died` or `hung`.

    `server_hangs` tells, within a second or so, whether a server that all wait for stands still: who is
    silent then is not restarted, for it would wait as its successor would. `environment` returns that of a
    process, by name.
    """

    folder: Path
    commands: dict[str, str]
    policy: Policy = field(default_factory=Policy)
    on_restart: Callable[[str, str], None] = lambda _name, _how: None
    server_hangs: Callable[[], bool] = lambda: False
    environment: Callable[[str], Mapping[str, str]] = lambda _name: os.environ
    restarts: int = 0

    def __post_init__(self) -> None:
        """Lay out a folder with a log and a sign of life for each."""
        for name in ("log", "life"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.processes = [
            Process(
                name,
                command,
                self.folder / "life" / name,
                self.folder / "log" / f"{name}.log",
                self.environment,
            )
            for name, command in self.commands.items()
        ]
        self._last_look = clock.stopwatch()
        self._hanging = False

    def start(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Start all: workers first, beat and the watch once they are ready, or first messages came late.

        `ended` tells that somebody wants to stop before that.
        """
        first = [process for process in self.processes if process.name not in LAST]
        for process in first:
            process.start()
        until = clock.stopwatch() + self.policy.ready_within
        while clock.stopwatch() < until and not all(
            p.sign.exists() for p in first if p.name.startswith("worker")
        ):
            if ended():
                return
            self.look()
            sleep(self.policy.look_every)
        for process in self.processes:
            if process.name in LAST:
                process.start()

    def run(self, until: Callable[[], bool]) -> None:
        """Look after them until `until` says so."""
        while not until():
            self.look()
            sleep(self.policy.look_every)

    def look(self) -> None:
        """Put back what died or hung."""
        at = clock.stopwatch()
        # When this process itself was held up, so were the others: their silence proves nothing.
        held_up, self._last_look = at - self._last_look > 1.0, at
        waits = self._all_wait()
        for process in self.processes:
            if process.running is None:
                continue
            if process.running.poll() is not None:
                self._restart(process, "died", at)
            elif not held_up and not waits and process.silent_for(at) > self.policy.hung_after:
                self._restart_silent(process, at)

    def _all_wait(self) -> bool:
        """Tell whether a server that all wait for still hangs.

        Once it answers they have a while to show that they live.
        """
        if self._hanging and not self.server_hangs():
            self._hanging = False
            for process in self.processes:
                process.seen = clock.stopwatch() + self.policy.hung_after
        return self._hanging

    def _restart_silent(self, process: Process, at: float) -> None:
        if self.server_hangs():
            log.warning("process waits", process=process.name, reason="server_hangs")
            self._hanging = True
        else:
            self._restart(process, "hung", at)

    def _restart(self, process: Process, how: str, at: float) -> None:
        if at < process.again_at:
            return
        if at - process.started > self.policy.steady_after:
            process.pause = 0.0
        last = process.last_line()
        process.end_all()
        process.start()
        process.again_at = at + process.pause
        process.pause = min(max(0.5, process.pause * 2), self.policy.pause_max)
        self.restarts += 1
        log.error("process restarted", process=process.name, reason=how, last_line=last, log=str(process.log))
        self.on_restart(process.name, how)

    def stop(self) -> None:
        """End all: beat first, so that nothing new is sent; what does not end in time is killed."""
        for process in sorted(self.processes, key=lambda process: process.name != "beat"):
            process.send(signal.SIGTERM)
        until = clock.stopwatch() + self.policy.stop_within
        while clock.stopwatch() < until and any(
            p.running and p.running.poll() is None for p in self.processes
        ):
            sleep(0.05)
        for process in self.processes:
            process.end_all()
