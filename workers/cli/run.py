"""`wedops run`."""

from typing import Any

import click

from workers.app import app
from workers.commands.rules.contract import CONTRACT
from workers.foundation import clock, logs


@click.command("run")
@click.argument("job")
def command(job: str) -> None:
    """Run JOB (a task's name, e.g. connections.sweep) now: by a worker, one at a time as if it were due."""
    logs.configure(30)
    app.loader.import_default_modules()
    names = sorted(name for name in app.tasks if not name.startswith("celery.") and name not in CONTRACT)
    if job not in names:
        raise click.BadParameter(f"{job!r} is none of {', '.join(names)}", param_hint="JOB")
    header: dict[str, Any] = {"name": job, "due": clock.epoch()}
    sent = app.send_task(job, headers={"job": header})
    click.echo(f"{job} sent as {sent.id}")
