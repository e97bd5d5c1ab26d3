"""Taking a command: check, remember, send, do it once, settle."""

from collections.abc import Callable
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection

from workers.app import app
from workers.commands import store
from workers.commands.rules import contract
from workers.commands.rules.contract import CONTRACT, Command, Kind, WeddingCommand
from workers.commands.rules.requests import KIND, Request
from workers.foundation import clock, database, logs, telemetry
from workers.foundation.errors import ExpectedError, error_code
from workers.foundation.redis import FunctionsMissing
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Message, Outcome, Result, Retry
from workers.weddings.store import weddings

log = logs.get("commands")

#: Does a command in a transaction, under a key; returns what came of it, such as `emergency 7`.
Apply = Callable[[Connection, Kind, str], str | None]


class MessageRefused(ExpectedError):
    """{task} refused: {problems}"""

    keeps_message = True


class TaskNotOffered(ExpectedError):
    """{task!r} is no task for other services; offered are: {offered}"""


class RequestKeyReused(ExpectedError):
    """request_key {key!r} was used for something else ({task}); use a new key for a new request"""

    keeps_message = True


def accept(task: str, fields: dict[str, Any], *, caller: str) -> Request:
    """Check and remember a command, then send it; when this returns, it will be done whatever fails.

    Raises TaskNotOffered, MessageRefused, WeddingUnknown, RequestKeyReused, DatabaseUnavailable: nothing is
    remembered then.
    """
    command = _read(_offered(task), fields)
    subject = _subject(command)
    key = command.request_key or "/".join(filter(None, (task, subject, f"{clock.epoch():.6f}")))
    request = _request(command, key, caller)
    with database.transaction() as db:
        if subject:
            weddings.require(db, subject)
        known = _remember(db, request, command)
    _require_same(known, request, type(command))
    if known.state == "accepted":
        _send(known)
    return known


def run(kind: type[Kind], fields: dict[str, Any], apply: Apply[Kind], *, task_id: str | None) -> None:
    """Do a command that a worker took, once a key, and settle it in the same transaction.

    An error that is expected is what became of it: it is settled as refused, and not tried again. Raises it,
    and MessageRefused or RequestKeyReused.
    """
    command = _read(kind, fields)
    key = command.request_key or str(task_id)
    # The id of the task is the key where none is given: no row may have one that no message could.
    command = _read(kind, command.model_dump(mode="json") | {"request_key": key})
    _bind(command, key)
    try:
        with database.transaction() as db:
            store.settle(db, key, at=clock.machine_now(), effect=apply(db, command, key))
            outbox.sent(db, [_entry(key)])
    except (database.DatabaseUnavailable, FunctionsMissing):
        raise
    except ExpectedError as error:
        with database.transaction() as db:
            store.settle(db, key, at=clock.machine_now(), refused=str(error))
            outbox.sent(db, [_entry(key)])
        raise


def find(key: str) -> Request | None:
    """Return the command under a key, and what became of it."""
    with database.transaction() as db:
        return store.find(db, key)


#: How the outbox sends them again: a backlog must not be fed with copies of itself.
RETRY = Retry(store.PATIENCE, lease=store.PATIENCE / 2)


def redeliver(seconds: float) -> None:
    """Send again what was accepted and has had no effect, for some seconds at most."""
    sending.deliver(KIND, _deliver, RETRY, seconds=seconds)


def _offered(task: str) -> type[Command]:
    if task not in CONTRACT:
        # Each room registers its own.
        app.loader.import_default_modules()
    if task not in CONTRACT:
        raise TaskNotOffered(task=task, offered=", ".join(sorted(CONTRACT)))
    return CONTRACT[task]


def _read(kind: type[Kind], fields: dict[str, Any]) -> Kind:
    """Return a command, checked; raises MessageRefused naming each field and its remedy."""
    if found := contract.problems(kind, fields):
        raise MessageRefused(task=kind.task, problems="; ".join(found))
    return kind.model_validate(fields)


def _subject(command: Command) -> str:
    """Return the wedding that a command is about; empty when it is about none."""
    return command.wedding_id if isinstance(command, WeddingCommand) else ""


def _request(command: Command, key: str, caller: str) -> Request:
    return Request(key, command.task, command.model_dump(mode="json") | {"request_key": key}, caller=caller)


def _remember(db: Connection, request: Request, command: Command) -> Request:
    """Remember a command unless its key is known.

    Whoever does so makes the first attempt. Return what has the key.
    """
    entry = Message(
        _entry(request.key), KIND, {"key": request.key}, wedding_id=_subject(command), lane=command.lane
    )
    outbox.write(db, [entry], claimed=RETRY)
    return store.accept(db, request, at=clock.machine_now())


def _bind(command: Command, key: str) -> None:
    """Bind a key to what is asked under it, whichever way the message came.

    Raises RequestKeyReused for other content. From here on the log names the wedding: the message was
    checked.
    """
    if subject := _subject(command):
        structlog.contextvars.bind_contextvars(wedding_id=subject)
    request = _request(command, key, "broker")
    with database.transaction() as db:
        known = _remember(db, request, command)
    _require_same(known, request, type(command))


def _require_same(known: Request, request: Request, kind: type[Command]) -> None:
    """Raise RequestKeyReused for other content.

    What an earlier version of the command wrote is read as this one.
    """
    before = (
        kind.model_validate(known.message).model_dump(mode="json") if known.task == request.task else None
    )
    if before != request.message:
        raise RequestKeyReused(key=request.key, task=known.task)


def _entry(key: str) -> str:
    return f"{KIND}/{key}"


def _deliver(entry: Entry) -> Result:
    """Send what the outbox holds, unless it was settled meanwhile."""
    request = find(entry.body["key"])
    if request is None or request.state != "accepted":
        return Result(Outcome.SENT)
    if entry.attempts > 1:
        log.info("request sent again", key=request.key, attempts=entry.attempts, reason="no_effect_yet")
    return _send(request)


def _send(request: Request) -> Result:
    """Send a command to the broker, which may lose it: its effect is what completes it."""
    try:
        app.send_task(request.task, kwargs=request.message, retry=False)
    except (OperationalError, RedisError) as error:
        telemetry.refusals.labels("publish", "broker").inc()
        log.warning("request kept, not sent", key=request.key, reason="broker", detail=str(error))
        return Result(Outcome.FAILED, f"the broker did not take it ({error_code(error)})")
    return Result(Outcome.ENQUEUED)
