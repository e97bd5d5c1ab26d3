"""What went wrong, in one line with its remedy: for every command, and for `wedops doctor`."""

import errno
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from sqlalchemy.exc import DBAPIError

from workers.foundation.errors import UNAVAILABLE, ExpectedError, printable
from workers.foundation.redis import UNREACHABLE

#: What Redis answers with, and what to do about it: by redis-py's error, or by the word that an answer of a
#: function keeps.
REDIS: tuple[tuple[type[RedisError], str, str], ...] = (
    (
        NoPermissionError,
        "NOPERM",
        "grant its user the command (ACL SETUSER), as docs/guides/gateway.md names it",
    ),
    (ReadOnlyError, "READONLY", "it is a replica, or becomes one: point its WEDOPS_…_URL to the primary"),
    (OutOfMemoryError, "OOM", "its memory is full: raise maxmemory"),
    (AuthenticationError, "NOAUTH", "mend user and password in its WEDOPS_…_URL"),
    (AuthenticationWrongNumberOfArgsError, "WRONGPASS", "mend user and password in its WEDOPS_…_URL"),
    (ResponseError, "MISCONF", "it can't write to its disk: see its log, and make room"),
    (ResponseError, "DB index is out of range", "name a database that it has, as /0"),
    (ResponseError, "unknown command", "it does not offer that command, as some managed servers do"),
)
#: PostgreSQL's SQLSTATEs.
POSTGRES = {
    "42501": "grant its user the right: GRANT USAGE, CREATE ON SCHEMA public TO …, as the owner of the "
    "schema",
    "57014": "it took too long: run `wedops doctor`",
}
#: What the machine answers with.
SYSTEM = {
    errno.EACCES: "give it to the user that runs this, or name another place",
    errno.EPERM: "give it to the user that runs this, or name another place",
    errno.EROFS: "it can't be written to; name another place",
    errno.ENOSPC: "the disk is full: make room",
    errno.ENOTDIR: "a file stands where a folder should; name another place",
    errno.ENOENT: "there is none; make it, or name another place",
    errno.ENAMETOOLONG: "the name is too long; name another place",
    errno.EEXIST: "a file stands where a folder should; name another place",
}
_NO_TABLES = ("42P01", "42703", "3F000")


def one_line(error: BaseException) -> str | None:
    """Return what a person reads of an error; None for one that nobody expected."""
    line = _line(error)
    return printable(line) if line else None


def exit_code(error: BaseException) -> int:
    """Return what a command exits with after an error that a person reads."""
    if isinstance(error, ExpectedError):
        return error.exit_code
    return UNAVAILABLE if isinstance(error, (OperationalError, *UNREACHABLE)) else 1


def _line(error: BaseException) -> str | None:
    if isinstance(error, ExpectedError):
        return str(error)
    if isinstance(error, RedisError) and (remedy := _redis_remedy(error)):
        return f"Redis refuses ({error}); {remedy}"
    if isinstance(error, (OperationalError, *UNREACHABLE)):
        return (
            f"the broker does not answer ({error}); start it or mend WEDOPS_BROKER_URL, then run `wedops "
            "doctor`"
        )
    if isinstance(error, DBAPIError):
        return _database_line(error.orig)
    if isinstance(error, OSError) and error.errno in SYSTEM:
        return f"{error.strerror}: {error.filename or 'a file'}; {SYSTEM[error.errno]}"
    return None


def _redis_remedy(error: RedisError) -> str | None:
    by_type = next(
        (remedy for kind, _, remedy in REDIS if kind is not ResponseError and isinstance(error, kind)), None
    )
    by_text = next((remedy for _, word, remedy in REDIS if word in str(error)), None)
    return by_type or by_text or ("run `wedops doctor`" if isinstance(error, ResponseError) else None)


def _database_line(error: Any) -> str:
    """Return what PostgreSQL answered.

    Of an answer that we don't know only its kind, for it may quote what a row holds.
    """
    state = getattr(error, "sqlstate", None) or "none"
    if state in _NO_TABLES:
        return (
            "the database lacks our tables, has older ones, or shows this login none; run `wedops migrate`, "
            "or `wedops grants --apply` as the owner"
        )
    if state not in POSTGRES:
        return f"PostgreSQL refuses ({type(error).__name__}, SQLSTATE {state}); run `wedops doctor`"
    return f"PostgreSQL refuses ({error.diag.message_primary}, SQLSTATE {state}); {POSTGRES[state]}"
