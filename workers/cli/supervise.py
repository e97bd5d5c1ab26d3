"""`wedops supervise`."""

import signal
import tempfile
from functools import partial
from pathlib import Path

import click
from redis.exceptions import RedisError

from workers.access.usecases import grants
from workers.foundation import event_log, jobs, logs, redis, settings
from workers.processes.supervisor import Supervisor, read_procfile
from workers.processes.system import ADDRESSES, environment


def count_restart(name: str, how: str) -> None:
    """Count a restart where `wedops status` looks; a Redis that is unavailable or full has other worries."""
    try:
        jobs.tally("restarts")
        jobs.tally(f"restarts:{name}:{how}")
        event_log.note(f"process {name} {how} and was restarted", by="supervisor")
    except RedisError as error:
        logs.get("supervision").warning("count lost", process=name, reason="redis", detail=str(error))


@click.command("supervise")
@click.argument("procfile", type=click.Path(exists=True, path_type=Path), default="Procfile")
@click.option("--only", multiple=True, help="Run only this process; may be given more than once.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where logs and signs of life go.")
def command(procfile: Path, only: tuple[str, ...], folder: Path | None) -> None:
    """Run the processes of PROCFILE, and restart what dies or hangs. SIGTERM ends them in good order.

    With ROLES_… each logs in as its role, and gets only the secrets that it needs.
    """
    logs.configure()
    commands = {name: line for name, line in read_procfile(procfile).items() if not only or name in only}
    if missing := set(only) - commands.keys():
        raise click.BadParameter(f"{', '.join(sorted(missing))} is not in {procfile}", param_hint="--only")
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    home = folder or Path(tempfile.mkdtemp(prefix="wedops-"))
    click.echo(f"logs: {home / 'log'}", err=True)
    # Also those that have another name in the environment, or stand in a file.
    urls = settings.servers()
    addresses = {name: url for name in ADDRESSES if (url := getattr(urls, name.lower()[7:]))}
    supervisor = Supervisor(
        home,
        commands,
        on_restart=count_restart,
        server_hangs=redis.broker_hangs,
        environment=partial(environment, addresses=addresses, known=grants.logins()),
    )
    try:
        supervisor.start(lambda: bool(ended))
        supervisor.run(lambda: bool(ended))
    finally:
        supervisor.stop()
