"""Taking a command: check, remember, send, do it once, settle."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection

from workers.app import app
from workers.commands.rules import contract
from workers.commands.rules.contract import CONTRACT, Command, Kind, WeddingCommand
from workers.commands.rules.requests import KIND, Request
from workers.commands.store import requests as store
from workers.foundation import clock, database, joining, logs, queues, signatures, telemetry
from workers.foundation.errors import ExpectedError, error_code
from workers.foundation.redis import FunctionsMissing
from workers.outbox import store as outbox
from workers.outbox import usecases as sending
from workers.outbox.rules import Entry, Message, Outcome, Result, Retry
from workers.weddings.store import weddings

log = logs.get("commands")

signatures.offer(CONTRACT)

#: Does a command in a transaction, under a key; returns what came of it, such as `emergency 7`.
Apply = Callable[[Connection, Kind, str], str | None]


class MessageRefused(ExpectedError):
    """{task} refused: {problems}"""

    http_status = 422

    keeps_message = True


class TaskNotOffered(ExpectedError):
    """{task!r} is no task for other services; offered are: {offered}"""

    http_status = 404


class RequestKeyReused(ExpectedError):
    """request_key {key!r} was used for something else ({task}); use a new key for a new request"""

    http_status = 409

    keeps_message = True


def accept(task: str, fields: dict[str, Any], *, caller: str) -> Request:
    """Check and remember a command, then send it; when this returns, it will be done whatever fails.

    Raises TaskNotOffered, MessageRefused, WeddingUnknown, RequestKeyReused, DatabaseUnavailable: nothing is
    remembered then.
    """
    [request] = accept_all(task, [fields], caller=caller)
    return request


def accept_all(task: str, of_each: Iterable[dict[str, Any]], *, caller: str) -> list[Request]:
    """Do the same with many commands of a task in one transaction: all of them, or none.

    Return them in the order of their keys.
    """
    kind = _offered(task)
    asked: dict[str, tuple[Command, Request]] = {}
    for command in (_read(kind, fields) for fields in of_each):
        made = "/".join(filter(None, (task, _subject(command), f"{clock.epoch():.6f}")))
        request = _request(command, command.request_key or made, caller)
        _require_same(asked.setdefault(request.key, (command, request))[1], request, kind)
    # In one order, so that two who ask for the same wait for each other instead of deadlocking.
    ordered = [asked[key] for key in sorted(asked)]
    with database.transaction() as db:
        weddings.require_all(db, filter(None, (_subject(command) for command, _ in ordered)))
        known = _remember(db, ordered)
        for found, (_, request) in zip(known, ordered, strict=True):
            _require_same(found, request, kind)
    joining.afterwards(lambda: _send_all(known))
    return known


def _send_all(known: Iterable[Request]) -> None:
    for found in known:
        # Where the broker takes none, each would wait for it.
        if found.state == "accepted" and _send(found).outcome is Outcome.FAILED:
            break


def run(kind: type[Kind], fields: dict[str, Any], apply: Apply[Kind], *, task_id: str | None) -> None:
    """Do a command that a worker took, once a key, and settle it in the same transaction.

    An error that is expected is what became of it: it is settled as refused, and not tried again. Raises it,
    and MessageRefused or RequestKeyReused.
    """
    command = _read(kind, fields)
    key = command.request_key or str(task_id)
    # The id of the task is the key where none is given: no row may have one that no message could.
    command = _read(kind, command.model_dump(mode="json") | {"request_key": key})
    try:
        refused = _done(command, key, apply)
    except ExpectedError:
        raise
    except Exception:
        # It is accepted, by whichever way it came: what failed unexpectedly is tried again.
        with database.transaction() as db:
            _bind(db, command, key)
        raise
    if refused:
        raise refused


def _done(command: Kind, key: str, apply: Apply[Kind]) -> ExpectedError | None:
    """Do a command and settle it; return why it was refused, if it was."""
    effect, refused = None, None
    with database.transaction() as db:
        if _bind(db, command, key).state != "accepted":
            # What came of it stands.
            return None
        try:
            with db.begin_nested():
                effect = apply(db, command, key)
        except (database.DatabaseUnavailable, FunctionsMissing):
            raise
        except ExpectedError as error:
            refused = error
        reason = str(refused) if refused else None
        store.settle(db, key, at=clock.machine_now(), refused=reason, effect=effect)
        outbox.sent(db, [_entry(key)])
    return refused


def caller(db: Connection, key: str) -> str:
    """Return who asked for what is under a key; empty when nothing is."""
    return store.callers(db, [key]).get(key, "")


def since(
    db: Connection, moment: datetime, *, caller: str = "", wedding_id: str = "", limit: int
) -> list[tuple[datetime, str, str, str, str]]:
    """Return what was asked since a moment: when, by whom, the task, the wedding, and what became of it."""
    return store.since(db, moment, caller=caller, wedding_id=wedding_id, limit=limit)


def find(key: str) -> Request | None:
    """Return the command under a key, and what became of it."""
    with database.transaction() as db:
        return store.find(db, key)


#: How the outbox sends them again: a backlog must not be fed with copies of itself.
RETRY = Retry(store.PATIENCE, lease=store.PATIENCE / 2)


def redeliver(seconds: float) -> None:
    """Send again what was accepted and has had no effect, for some seconds at most.

    Not what merely waits in its queue.
    """
    _leave_waiting()
    sending.deliver(KIND, _deliver, RETRY, seconds=seconds)


def _leave_waiting() -> None:
    """Put off what was accepted after the oldest message of its queue: it is there, and its turn comes."""
    behind = [one for one in queues.lengths_and_ages() if one.oldest > store.PATIENCE.total_seconds()]
    for queue in behind:
        since = clock.machine_now() - timedelta(seconds=queue.oldest)
        tasks = [task for task in _contract() if app.queue_of(task) == queue.name]
        with database.transaction() as db:
            keys = store.accepted(db, tasks, since)
            outbox.postpone(db, map(_entry, keys), store.PATIENCE)


def offered() -> Collection[str]:
    """Return the tasks that services may send."""
    return _contract().keys()


def _contract() -> Mapping[str, type[Command]]:
    """Return what is offered: each room registers its own when its tasks are loaded."""
    app.loader.import_default_modules()
    return CONTRACT


def _offered(task: str) -> type[Command]:
    if task not in CONTRACT and task not in _contract():
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


def _remember(db: Connection, asked: Collection[tuple[Command, Request]]) -> list[Request]:
    """Remember commands, but those whose key is known.

    Whoever does so makes the first attempt. Return what has the keys.
    """
    entries = [
        Message(_entry(one.key), KIND, {"key": one.key}, wedding_id=_subject(command), lane=command.lane)
        for command, one in asked
    ]
    outbox.write(db, entries, claimed=RETRY)
    return store.accept(db, [one for _, one in asked], at=clock.machine_now())


def _bind(db: Connection, command: Command, key: str) -> Request:
    """Bind a key to what is asked under it, whichever way the message came; return what stands under it.

    Raises RequestKeyReused for other content. From here on the log names the wedding: the message was
    checked.
    """
    if subject := _subject(command):
        structlog.contextvars.bind_contextvars(wedding_id=subject)
    request = _request(command, key, signatures.sender() or "broker")
    [known] = _remember(db, [(command, request)])
    _require_same(known, request, type(command))
    return known


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
