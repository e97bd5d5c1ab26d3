"""The operator's command, `wedops`.

Each command's module is imported when it is called: Celery takes seconds.
"""

import gc
import logging
import sys
from typing import Any

import click

from workers.cli.audited import AuditedGroup

COMMANDS = {
    "up": "Start the whole system on this machine.",
    "status": "Say in one line whether all is well, then what is.",
    "doctor": "Say what is wrong with a set-up, and how to mend it.",
    "grants": "Who may do what on Valkey and in PostgreSQL: print it, apply it.",
    "secrets": "Make the secrets of an installation in containers.",
    "migrate": "Bring the database and the Redis functions to this version.",
    "supervise": "Run the Procfile's processes, and restart what dies or hangs.",
    "nodes": "The realtime nodes: who is up, how full, and whose weddings they have.",
    "plan": "What a peak or a day that is known ahead needs; which days need too much.",
    "alerts": "What is wrong and who is notified; take it, snooze it, reassign it, silence it.",
    "slo": "Objectives, and how much of each error budget is left.",
    "responses": "What was done about degradations, and what it did.",
    "contacts": "Who can be notified, and by which channel.",
    "scaling": "What there is of each resource and why; let regions act, suspend, approve, repair.",
    "forecast": "What is expected of each region, and how good it was.",
    "replay": "A past span played again: what the planner would have done, and what it would have cost.",
    "simulate": "A Saturday that never was, played through the planner.",
    "emergency-mode": "Have guests give way first, or no longer.",
    "suppliers": "Suppliers with a limit of their own.",
    "callers": "Who may call the HTTP API: their keys, scopes and bounds.",
    "permit": "Issue a permit, with which a person may connect, or read one.",
    "connections": "Each region's connections: how many, how fast, how much, and who is heaviest.",
    "person": "A person's connections, and how good they are.",
    "presence": "Who of a wedding is online.",
    "listen": "Hear who is online at a stock Supabase deployment.",
    "weddings": "The calendar: import it, look at it.",
    "review": "Look back on a day: what happened, who was affected, what it cost.",
    "gate": "May programs, settings or tables be changed now, or when?",
    "emergency": "Emergencies: open one, run it step by step, close it; its protocols.",
    "messages": "Urgent messages: send one, and see who has it and who has not.",
    "cache": "The cache: how much it has of what is read, an entry, peak mode, the season.",
    "request": "Request a warm-up or an emergency, as other services do.",
    "metrics": "What services measure.",
    "ingest": "Write what is measured into PostgreSQL: a process of the Procfile.",
    "deliver": "Send what is written: a process of the Procfile.",
    "watch": "Watch the task system itself: a process of the Procfile.",
    "dead-letters": "Messages that were refused, and why; send one again.",
    "audit": "Who did what, from where and as whom.",
    "forget": "Delete what is kept of a wedding or a person, but what law asks to keep.",
    "timeline": "What happened and what was done about it, in the order of time.",
    "run": "Run a job now.",
}

#: These are folders: their group has a module of its own.
GROUPS = {"scaling": "scaling.group", "weddings": "weddings.group"}
#: What commands were called before.
FORMER = {"ask": "request"}
#: These run for ever and share the circuits of all processes; all other commands are somebody who wants to
#: know.
PROCESSES = {"watch", "ingest", "deliver", "listen", "up", "supervise"}


@click.command(cls=AuditedGroup, package="workers.cli", helps=COMMANDS, modules=GROUPS, aliases=FORMER)
@click.version_option(package_name="wedops")
@click.pass_context
def wedops(context: click.Context) -> None:
    """Run and watch WedSync's realtime operations."""
    from workers.foundation import settings, waiting  # noqa: PLC0415 - not for --help

    settings.settle_environment()
    if context.invoked_subcommand not in PROCESSES:
        context.with_resource(waiting.circuits_passed_by())


def main(*arguments: Any) -> None:
    """Run a command; what was expected to happen is one line, and the error's exit code."""
    arguments_given = sys.argv[1:]
    if arguments_given and not arguments_given[0].startswith("-") and arguments_given[0] not in PROCESSES:
        from workers.foundation import logs, waiting  # noqa: PLC0415 - not for --help

        waiting.hurry()
        # What modules define lives for ever: to look for garbage meanwhile takes a sixth of the time.
        gc.set_threshold(100_000, 50)
        # To standard error: what a command prints is what it was asked for.
        logs.configure_when_needed(logging.WARNING)
    try:
        wedops(*arguments, standalone_mode=True)
    except Exception as error:
        from workers.cli.problems import exit_code, one_line  # noqa: PLC0415 - only when something went wrong

        if (line := one_line(error)) is None:
            raise
        click.echo(f"wedops: {line}", err=True)
        sys.exit(exit_code(error))
