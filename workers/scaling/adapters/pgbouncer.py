"""PgBouncer's `default_pool_size`, set at its admin console.

Growing is immediate; what is too many stays open until RECONNECT; RELOAD brings the file's value back, which
the next look corrects.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from workers.foundation import settings
from workers.scaling.adapters.actuators import ActuatorUnreachable, refusal
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource


@dataclass(frozen=True)
class Policy:
    """`admin_url` is the admin console's: postgresql://admin:password@host:6432/pgbouncer"""

    prefix: ClassVar = "PGBOUNCER_"

    admin_url: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        try:
            sound = not self.admin_url or conninfo_to_dict(self.admin_url).get("dbname") == "pgbouncer"
        except (psycopg.ProgrammingError, ValueError):
            # Its message has the address in it, and that the password.
            sound = False
        if not sound:
            raise ValueError(
                "admin_url must be such as postgresql://admin:password@host:6432/pgbouncer, percent-encoded"
            )


class PgBouncer:
    """Sets how many server connections each pool of a PgBouncer may have."""

    serves = (Resource.DATABASE_CONNECTIONS,)

    def seen(self, action: Action) -> int | None:
        """Return what it is set to."""
        with _console(action) as console:
            rows = console.execute("SHOW CONFIG").fetchall()
        return next(int(row["value"]) for row in rows if row["key"] == "default_pool_size")

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Set it; when it shrinks, have each server connection closed as soon as nobody uses it."""
        # The console takes no parameters; the value is an integer of ours.
        commands = [f"SET default_pool_size = {int(action.to)}"] + (
            ["RECONNECT"] if action.to < (self.seen(action) or 0) else []
        )
        with _console(action) as console:
            for command in commands if not dry_run else ():
                console.execute(command)
        return "; ".join(commands)

    def held(self, action: Action) -> int:
        """Return how many server connections its fullest pool has now."""
        with _console(action) as console:
            pools = console.execute("SHOW POOLS").fetchall()
        return max(
            (sum(int(pool[name]) for name in pool if name.startswith("sv_")) for pool in pools), default=0
        )


@contextmanager
def _console(action: Action) -> Iterator["psycopg.Cursor[dict[str, Any]]"]:
    policy = settings.read(Policy)
    if not policy.admin_url:
        problem = "set PGBOUNCER_ADMIN_URL to its admin console"
        raise refusal("pgbouncer", action, problem)
    try:
        # The console speaks the simple protocol only.
        with (
            psycopg.connect(
                policy.admin_url,
                autocommit=True,
                connect_timeout=3,
                tcp_user_timeout=3000,
                cursor_factory=psycopg.ClientCursor,
                row_factory=dict_row,
            ) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor
    except psycopg.OperationalError as error:
        raise ActuatorUnreachable(
            actuator="pgbouncer", problem=str(error).strip().partition("\n")[0]
        ) from error
    except psycopg.Error as error:
        problem = str(error).strip().partition("\n")[0]
        raise refusal("pgbouncer", action, problem) from error
