"""`wedops up`: embedded servers, migrations, every process, and on request a demo Saturday."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from math import isnan
from pathlib import Path
from shlex import quote
from typing import Any

import click
import orjson

from workers.access.rules.roles import Role
from workers.cli import doctor, world
from workers.cli.supervise import count_restart
from workers.foundation import clock, jobs, keys, logs, redis
from workers.foundation.errors import ExpectedError
from workers.operations.totals import totals
from workers.processes import migration, programs, surroundings
from workers.processes.authority import Authority
from workers.processes.supervisor import Supervisor, read_procfile
from workers.processes.system import System

log = logs.get("up")


class AlreadyUp(ExpectedError):
    """the system runs from this folder already; end that one first (Ctrl-C where it runs)"""


class SetUpUnsound(ExpectedError):
    """nothing was started: {problems}"""


class ProcfileMissing(ExpectedError):
    """there is no {path} here; run `wedops up` in the project's folder"""


def state_folder() -> Path:
    """Return where this checkout's data lives.

    WEDOPS_STATE, or a folder of its own below the user's state folder.
    """
    if given := os.environ.get("WEDOPS_STATE"):
        return Path(given).absolute()
    checkout = blake2b(str(Path.cwd()).encode(), digest_size=6).hexdigest()
    if os.geteuid() == 0:
        return Path("/var/lib") / "wedops" / checkout
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "wedops" / checkout


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    # Whoever else is on this machine finds nothing here to read; as root, servers run as somebody else.
    os.umask(0o077)
    # One that was ours before, too.
    if not home.exists() or (home / "lock").exists():
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711 if programs.unprivileged() else 0o700)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp from None
        yield


@click.command("up")
@click.option(
    "--demo", is_flag=True, help="Seed a season, and let people connect for a Saturday whose clock runs fast."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    help="Stop by itself after so long; the demo plays 10 hours in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
@click.option("--clean", is_flag=True, help="Start anew: forget the data of earlier starts.")
@click.option("--tls", is_flag=True, help="Let all parts speak TLS, with certificates made here.")
def command(demo: bool, seconds: float | None, as_json: bool, clean: bool, tls: bool) -> None:
    """Start the whole system on this machine, and end it with Ctrl-C.

    A Valkey or PostgreSQL you name by WEDOPS_…_URL is used. --tls wants servers that are built with it: your
    system's, as the wheels' are not. With --json, sweeps, connections_seen,
    connections_swept, tasks_failed, jobs_late and restarts count this run; forecasts, scaling_actions, alerts
    and warm_ups are all that the database has.
    """
    home = state_folder()
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    if seconds is not None and isnan(seconds):
        raise click.BadParameter("must be a number", param_hint="--seconds")
    if not Path("Procfile").exists():
        raise ProcfileMissing(path="Procfile")
    logs.configure(40)
    with _alone(home):
        system = System(home, tls=Authority(home / "tls") if tls else None)
        surroundings.forget_last_start(home)
        if clean:
            _forget(home)
        try:
            report = _play(system, demo, seconds, as_json, ended)
        finally:
            system.stop()
    if as_json:
        click.echo(orjson.dumps(report).decode())
    else:
        click.echo(f"all is ended; the data stays in {home}")


def _forget(home: Path) -> None:
    for entry in home.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


def _play(
    system: System, demo: bool, seconds: float | None, as_json: bool, ended: list[int]
) -> dict[str, Any]:
    surroundings.settle(system.home, system.tls)
    if demo:
        world.begin(system.home, seconds)
    if problems := doctor.unsound():
        raise SetUpUnsound(problems="; ".join(problems))
    system.start()
    migration.migrate()
    system.log_in(Role.OPERATOR)
    if demo:
        subprocess.run([sys.executable, "-m", "demo.season", "--take"], check=True, stdout=subprocess.DEVNULL)
    supervisor = _supervisor(system, demo)
    before = _counts()
    try:
        supervisor.start(lambda: bool(ended))
        until = clock.stopwatch() + seconds if seconds else float("inf")
        supervisor.run(
            lambda: bool(ended or redis.registry().zcard(keys.BEATS)) or clock.stopwatch() >= until
        )
        if not as_json:
            _banner(system, supervisor, demo)
        supervisor.run(lambda: system.look() or bool(ended) or clock.stopwatch() >= until)
        report = _report(before, supervisor, demo)
    finally:
        supervisor.stop()
    (system.home / "world").write_text(clock.now().isoformat())
    return report


def _supervisor(system: System, demo: bool) -> Supervisor:
    return Supervisor(
        system.home,
        read_procfile(Path("Procfile")) | (read_procfile(Path("demo/Procfile")) if demo else {}),
        on_restart=count_restart,
        server_hangs=redis.broker_hangs,
        environment=system.environment,
    )


def _counts() -> dict[str, int]:
    sweeps = next((record.runs for record in jobs.records() if record.name == "connections.sweep"), 0)
    return {"sweeps": sweeps, **jobs.tallies()}


def _report(before: dict[str, int], supervisor: Supervisor, demo: bool) -> dict[str, Any]:
    after = _counts()
    since = {name: count - before.get(name, 0) for name, count in after.items()}
    counted = ("sweeps", "connections_seen", "connections_swept", "tasks_failed", "jobs_late")
    return {
        "schema": "wedops.up/1",
        **{name: since.get(name, 0) for name in counted},
        **totals(),
        "restarts": supervisor.restarts,
        "urls": surroundings.urls(demo=demo),
    }


def _banner(system: System, supervisor: Supervisor, demo: bool) -> None:
    login, urls = os.environ["FLOWER_BASIC_AUTH"], surroundings.urls(demo=demo)
    environment = surroundings.write_environment(system.home)
    click.echo(f"up: {', '.join(supervisor.commands)}; {', '.join(server.name for server in system.started)}")
    if demo:
        played = clock.world()
        click.echo(
            f"world: {clock.now():%a %Y-%m-%d %H:%M} UTC, {played.speed if played else 1:g} times as fast as "
            "ours"
        )
    click.echo(f"Flower: {urls['flower']}  login {login.replace(':', ' / ')}")
    gateway = f"  gateway: {urls['gateway']}" if demo else ""
    click.echo(f"health: {urls['api']}/readyz  metrics: {urls['api']}/metrics{gateway}")
    click.echo(f"logs: {system.home / 'log'}")
    if system.tls:
        click.echo(f"authority, for a browser to trust: {system.tls.certificate}")
    click.echo("\nin another terminal, try (the first line again after each start, for ports change):")
    click.echo(f"  . {quote(str(environment))}")
    click.echo("  wedops status")
    click.echo("  wedops weddings next")
    click.echo("  wedops request emergency weather WEDDING_ID")
    sample = '{"samples": [{"name": "guest_list_seconds", "value": 0.4, "labels": {"region": "us-west"}}]}'
    known = f"--cacert {quote(str(system.tls.certificate))} " if system.tls else ""
    click.echo(
        f"  curl {known}-H \"Authorization: Bearer ${{METRICS_INGEST_TOKENS#*:}}\" -d '{sample}' "
        f"{urls['api']}/v1/metrics\n"
    )
    click.echo("Ctrl-C ends all of it.")
