"""The operator's command, `wedops`. Each command's module is imported when it is called: Celery takes seconds."""

import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "up": "Start the whole system on this machine.",
    "status": "Say in one line whether all is well, then what is.",
    "doctor": "Say what is wrong with a set-up, and how to mend it.",
    "migrate": "Bring the database and the Redis functions to this version.",
    "supervise": "Run the Procfile's processes, and put back what dies or hangs.",
    "nodes": "The realtime nodes: who is up, how full, and whose weddings they have.",
    "plan": "What a peak or a day that is known ahead needs; which days need too much.",
    "alerts": "What is wrong and who is told; take it, put it off, hand it over, silence it.",
    "slo": "What is promised, and how much of each error budget is left.",
    "responses": "What was done about degradations, and what it did.",
    "contacts": "Who can be told, and by which channel.",
    "scaling": "What there is of each resource and why; let regions act, hold them, approve, repair.",
    "forecast": "What is expected of each region, and how good it was.",
    "replay": "A past span played again: what the planner would have done, and what it would have cost.",
    "simulate": "A Saturday that never was, played through the planner.",
    "emergency-mode": "Have guests give way first, or no longer.",
    "suppliers": "Suppliers with a limit of their own.",
    "permit": "Issue a permit, with which a person may connect, or read one.",
    "person": "A person's connections, and how good they are.",
    "presence": "Who of a wedding is online.",
    "listen": "Hear who is online at a stock Supabase deployment.",
    "weddings": "The calendar: import it, look at it.",
    "ask": "Ask for a warm-up or an emergency, as other services do.",
    "metrics": "What services measure.",
    "ingest": "Write what is measured into PostgreSQL: a process of the Procfile.",
    "watch": "Watch the task system itself: a process of the Procfile.",
    "run": "Run a job now.",
}


#: These run for ever and share the circuits of all processes; all other commands are somebody who wants to know.
PROCESSES = {"watch", "ingest", "listen", "up", "supervise"}


class _Lazy(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"workers.cli.{name.replace('-', '_')}").command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy)
@click.version_option(package_name="wedops")
def wedops() -> None:
    """Run and watch WedSync's realtime operations."""


def main(*arguments: Any) -> None:
    """Run a command; what was anticipated is one line, and exit code 1."""
    try:
        with nullcontext() if PROCESSES & set(sys.argv[1:2]) else _passed_by():
            wedops(*arguments, standalone_mode=True)
    except Exception as error:
        if (line := one_line(error)) is None:
            raise
        from workers.foundation.errors import printable  # noqa: PLC0415

        click.echo(f"wedops: {printable(line)}", err=True)
        sys.exit(1)


def _passed_by() -> AbstractContextManager[None]:
    from workers.foundation import breaker  # noqa: PLC0415

    return breaker.passed_by()


def one_line(error: Exception) -> str | None:
    """Return what a person is told of an error, with its remedy; None for one that nobody expected."""
    # Imported only when something went wrong.
    from kombu.exceptions import OperationalError  # noqa: PLC0415
    from redis.exceptions import ResponseError  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from workers.foundation.errors import Anticipated  # noqa: PLC0415
    from workers.foundation.redis import UNREACHABLE  # noqa: PLC0415

    if isinstance(error, Anticipated):
        return str(error)
    if isinstance(error, (OperationalError, *UNREACHABLE)):
        return f"the broker does not answer ({error}); start it or mend WEDOPS_BROKER_URL, then run `wedops doctor`"
    if isinstance(error, ResponseError):
        return f"Redis refuses ({error}); {_redis_remedy(str(error))}"
    if isinstance(error, DBAPIError):
        return _database_line(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or ''}; give it to the user that runs this, or name another place"
    return None


def _redis_remedy(answer: str) -> str:
    remedies = {
        "NOPERM": "grant its user the command: see docs/guides/gateway.md, or run `wedops doctor`",
        "READONLY": "it is a replica, or becomes one: point its WEDOPS_…_URL to the primary",
        "OOM": "its memory is full: raise maxmemory",
        "MISCONF": "it can't write to its disk: see its log, and make room",
        "NOAUTH": "put user and password into its WEDOPS_…_URL",
        "WRONGPASS": "mend user and password in its WEDOPS_…_URL",
        "unknown command": "it does not offer that command (a managed server?): run `wedops doctor`",
    }
    return next((remedy for word, remedy in remedies.items() if word in answer), "run `wedops doctor`")


def _database_line(error: Any) -> str:
    """Say what PostgreSQL answered, by its SQLSTATE, and never what a row holds."""
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in ("42P01", "42703", "3F000"):
        return "the database lacks our tables, or has older ones; run `wedops migrate`"
    remedies = {
        "42501": "grant its user the right: GRANT USAGE, CREATE ON SCHEMA public TO …, as the owner of the schema",
        "25006": "it is read-only: point WEDOPS_DATABASE_URL to the primary",
        "53100": "its disk is full: make room",
        "57014": "it took too long: run `wedops doctor`",
    }
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", "") or type(error.orig).__name__
    shown = primary if state in remedies else type(error.orig).__name__
    return f"PostgreSQL refuses ({shown}, SQLSTATE {state or 'none'}); {remedies.get(state, 'run `wedops doctor`')}"
