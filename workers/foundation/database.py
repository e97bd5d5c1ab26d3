"""PostgreSQL: one engine a process, opened after fork; short transactions; COPY for bulk."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    MetaData,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError, OperationalError

from workers.foundation import addresses, claims, joining, settings, slow_statements, waiting
from workers.foundation.errors import UNAVAILABLE, ExpectedError

Outdated = Callable[[FromClause, datetime], ColumnElement[bool]]
#: Where a table's `info` says which of its rows have ended.
EXPIRES = "expires"
#: Every room declares its tables on this.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class DatabaseUnavailable(ExpectedError):
    """PostgreSQL does not answer ({cause}); start it or mend WEDOPS_DATABASE_URL, then run `wedops doctor`"""

    exit_code = UNAVAILABLE


class LoginRefused(DatabaseUnavailable):
    """PostgreSQL answers and lets us not in ({cause}); mend user, password or database in
    WEDOPS_DATABASE_URL"""


#: No statement may outlive a task, nor a half-dead server hold one.
_SESSION = {"statement_timeout": "20000", "lock_timeout": "5000", "timezone": "UTC"}
#: Tells whether the server took our settings at the start of a session: a pooler in between drops or refuses
#: them.
_MARK = "wedops.session"


def conninfo(url: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what to connect with, and the settings of a session.

    What the address says of them wins over ours.
    """
    given: dict[str, Any] = dict(addresses.postgres(url))
    session = _SESSION | addresses.session(given.pop("options", ""))
    # What is sent to a machine that is gone is given up after so many ms; what is only read, after some
    # seconds.
    patience = {
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
    }
    # libpq takes less than 2 for 2.
    return {"connect_timeout": max(2, int(waiting.seconds()))} | patience | given, session


def _connect(url: str, context: Any) -> Any:
    """Connect.

    Behind a pooler without settings of the session and without prepared statements, for it changes servers.
    """
    into, session = conninfo(url)
    try:
        made = psycopg.connect(**into, context=context, options=addresses.options(session | {_MARK: "1"}))
    except psycopg.OperationalError as error:
        if "startup parameter" not in str(error):
            raise
        made = psycopg.connect(**into, context=context)
    [mark] = made.execute("SELECT current_setting(%s, true)", (_MARK,)).fetchone() or [None]
    made.rollback()
    if mark != "1":
        made.prepare_threshold = None
    return made


#: This process's engines by address; a forked child gets its own.
_engines: dict[str, Engine] = {}


def engine() -> Engine:
    """Return the engine of WEDOPS_DATABASE_URL, opened when it is first needed."""
    url = settings.servers().database_url
    if found := _engines.get(url):
        return found
    # A secret rotated: what is idle in the pools of before is of no use any more.
    for other in list(_engines.values()):
        other.dispose()
    return _engines.setdefault(url, _engine(url))


def _engine(url: str) -> Engine:
    made = create_engine(
        "postgresql+psycopg://",
        pool_size=2,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=5,
        # A fifth of the time of the standard library's.
        json_deserializer=orjson.loads,
        # An error must not quote what a row holds: it goes to logs.
        hide_parameters=True,
    )
    # libpq reads the address, not SQLAlchemy: so several hosts and all its parameters mean what they mean
    # everywhere.
    event.listen(
        made, "do_connect", lambda _dialect, _record, _given, named: _connect(url, named.get("context"))
    )
    event.listen(made, "begin", _begin)
    slow_statements.watch(made)
    return made


def _begin(db: Connection) -> None:
    """Set what this transaction goes by: for whom it asks, and what a pooler did not pass on.

    Behind a pooler the next transaction may be on another server.
    """
    given = for_whom.settings() if (for_whom := claims.current()) else {}
    if db.connection.driver_connection.prepare_threshold is None:  # type: ignore[union-attr]
        given |= conninfo(settings.servers().database_url)[1]
    if given:
        db.execute(select(*(func.set_config(name, value, True) for name, value in given.items())))


def _forget() -> None:
    # The parent's sockets must not be used, and not be closed either: they are the parent's.
    for made in _engines.values():
        made.dispose(close=False)
    _engines.clear()


os.register_at_fork(after_in_child=_forget)


class WritesRefused(DatabaseUnavailable):
    """PostgreSQL answers and takes no writes ({cause}); {remedy}"""


#: By SQLSTATE: what keeps a server that is well from being written to, and what to do. It passes: who may
#: wait, waits.
_NO_WRITES = {
    "25006": "it is read-only: point WEDOPS_DATABASE_URL to the primary",
    "53100": "its disk is full: make room",
}


def _dependency() -> str:
    """Return what the circuit is called: who has another address or login has another one."""
    return _circuit(settings.servers().database_url)


@cache
def _circuit(url: str) -> str:
    to = addresses.postgres(url)
    return f"database {to.get('host', 'socket')}:{to.get('port', 5432)} as {to.get('user')}"


@contextmanager
def transaction() -> Iterator[Connection]:
    """Yield a connection in a transaction that commits at the end; raises DatabaseUnavailable.

    Within one that others join (`joining`), that one.
    """
    if outer := joining.current():
        yield outer
        return
    if waiting.passes_circuits():
        with unguarded() as db:
            yield db
        return
    # It needs Redis, which a person's command may do without.
    from workers.foundation import breaker  # noqa: PLC0415

    try:
        # The circuit goes by what the server said, not by what we call it.
        with named_errors(), breaker.guarded(_dependency(), _is_unavailable), _begun() as db:
            yield db
    except breaker.CircuitOpen as error:
        raise DatabaseUnavailable(cause=str(error)) from error


@contextmanager
def unguarded() -> Iterator[Connection]:
    """Yield the same without asking a circuit, which Redis keeps.

    For who wants to know of PostgreSQL alone.
    """
    with named_errors(), _begun() as db:
        yield db


@contextmanager
def _begun() -> Iterator[Connection]:
    with engine().begin() as db:
        try:
            yield db
        except BaseException:
            # A time limit that strikes amid a statement leaves its answer on the line, for whoever is next.
            raw: psycopg.Connection[Any] | None = db.connection.driver_connection
            if raw and raw.info.transaction_status is TransactionStatus.ACTIVE:
                db.invalidate()
            raise


def is_kept_away(error: DBAPIError) -> bool:
    """Tell whether row level security refused: a right that our own role lacks has the same SQLSTATE."""
    return "row-level security" in str(error.orig)


@contextmanager
def named_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        if remedy := _NO_WRITES.get(_state(error)):
            raise WritesRefused(cause=_first_line(error), remedy=remedy) from None
        if _REFUSED.search(str(error)) and not _state(error):
            raise LoginRefused(cause=_first_line(error)) from None
        if not _is_unavailable(error):
            raise
        raise DatabaseUnavailable(cause=_first_line(error)) from error


def _state(error: BaseException) -> str:
    """Return the SQLSTATE of an error; empty when no server gave one."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def probe() -> None:
    """Make a connection of its own and end it.

    Raises DatabaseUnavailable within some 3 s, also for a server that stands still. A pooled connection to
    such a server would wait for an answer for ever.
    """
    into, _session = conninfo(settings.servers().database_url)
    try:
        psycopg.connect(**into).close()
    except psycopg.Error as error:
        raise DatabaseUnavailable(cause=str(error).strip().partition("\n")[0]) from error


#: What a server that is well answers to who may not come in, and what a wrong address says of itself.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist|database .* "
    r"does not exist"
    r"|permission denied|not permitted to log in|invalid connection option|invalid dsn|fe_sendauth"
)


def _is_unavailable(error: BaseException) -> bool:
    if not isinstance(error, OperationalError | psycopg.OperationalError):
        return False
    # Deadlocks, time-outs and full disks are operational errors as well. No SQLSTATE: there was no server to
    # give one; 08: connection exception; 57P: shutdown, crash, starting up; 53300: too many connections.
    state = _state(error)
    # A login that is refused has no SQLSTATE either when psycopg connects: it says nothing of the server's
    # health.
    if not state and _REFUSED.search(str(error)):
        return False
    return not state or state.startswith(("08", "57P")) or state == "53300"


def expires(outdated: str | Outdated) -> dict[str, Outdated]:
    """Return a table's `info`, by which rows are dropped some time after a column's moment, if it has one.

    Or those for which a condition holds. Tables that refer to it must do so ON DELETE CASCADE.
    """
    return {EXPIRES: outdated if callable(outdated) else lambda table, before: table.c[outdated] < before}
