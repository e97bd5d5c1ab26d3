"""`wedops run`."""

from inspect import Parameter, signature
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
    names = sorted(
        name for name, task in app.tasks.items() if name not in CONTRACT and _runs_alone(name, task)
    )
    if job not in names:
        raise click.BadParameter(f"{job!r} is none of {', '.join(names)}", param_hint="JOB")
    header: dict[str, Any] = {"name": job, "due": clock.epoch()}
    sent = app.send_task(job, headers={"job": header})
    click.echo(f"{job} sent as {sent.id}")


def _runs_alone(name: str, task: Any) -> bool:
    """Tell whether a task is ours and needs nothing said: some are only for what beat or others know."""
    needed = (one for one in signature(task.run).parameters.values() if one.kind is not Parameter.VAR_KEYWORD)
    return not name.startswith("celery.") and all(one.default is not Parameter.empty for one in needed)
