"""Accepting a request: check, remember, send; used by the client, the command line and redelivery."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.app import app
from workers.commands import store
from workers.commands.rules import messages as rules
from workers.foundation import clock, database, logs, telemetry
from workers.foundation.errors import ExpectedError
from workers.foundation.redis import FunctionsMissing
from workers.weddings.store import weddings

log = logs.get("commands")


class MessageRefused(ExpectedError):
    """{task} refused: {problems}"""

    keeps_message = True


class TaskNotOffered(ExpectedError):
    """{task!r} is no task for other services; offered are: {offered}"""


class RequestKeyReused(ExpectedError):
    """request_key {key!r} was used for something else ({task}); use a new key for a new request"""

    keeps_message = True


def read(message: type[rules.Kind], task: str, fields: dict[str, Any]) -> rules.Kind:
    """Return the message, checked; raises MessageRefused naming each field and its remedy."""
    if found := rules.problems(message, fields):
        raise MessageRefused(task=task, problems="; ".join(found))
    return message.model_validate(fields)


def accept(task: str, fields: dict[str, Any]) -> store.Request:
    """Check and remember a request, then send it; when this returns, it will be done whatever fails.

    Raises TaskNotOffered, MessageRefused, WeddingUnknown, RequestKeyReused, DatabaseUnavailable: nothing is
    remembered then.
    """
    if task not in rules.CONTRACT:
        raise TaskNotOffered(task=task, offered=", ".join(rules.CONTRACT))
    message = read(rules.CONTRACT[task], task, fields).model_dump(mode="json")
    key = message["request_key"] or f"{task}/{message['wedding_id']}/{clock.epoch():.6f}"
    asked = store.Request(key, task, message | {"request_key": key})
    with database.transaction() as db:
        weddings.require(db, message["wedding_id"])
        stands = store.accept(db, asked, at=clock.machine_now())
    if (stands.task, stands.message) != (asked.task, asked.message):
        raise RequestKeyReused(key=key, task=stands.task)
    if stands.state == "accepted":
        send([stands])
    return stands


def bind(message: rules.Message, task: str, key: str) -> None:
    """Bind a key to what is asked under it, whichever way the message came; raises RequestKeyReused for other content.

    From here on the log names the wedding: the message was checked.
    """
    # The id of the task is the key where none is given: no row may have one that no message could.
    read(type(message), task, message.model_dump(mode="json") | {"request_key": key})
    structlog.contextvars.bind_contextvars(wedding_id=message.wedding_id)
    asked = store.Request(key, task, message.model_dump(mode="json") | {"request_key": key})
    with database.transaction() as db:
        known = store.accept(db, asked, at=clock.machine_now())
    before = rules.CONTRACT[known.task].model_validate(known.message).model_dump(mode="json") if known.task == task else None
    if before != asked.message:
        raise RequestKeyReused(key=key, task=known.task)


def send(requests: Iterable[store.Request]) -> list[str]:
    """Send requests to the broker; return the keys that got there. What did not is sent again by redelivery."""
    keys = []
    for request in requests:
        try:
            app.send_task(request.task, kwargs=request.message, retry=False)
        except (OperationalError, RedisError) as error:
            telemetry.refusals.labels("publish", "broker").inc()
            log.warning("request kept, not sent", key=request.key, reason="broker", detail=str(error))
            break
        keys.append(request.key)
    try:
        with database.transaction() as db:
            store.sent(db, keys, at=clock.machine_now())
    except database.DatabaseUnavailable as error:
        # They are accepted and sent; without this note they are sent once more, which changes nothing.
        log.warning("sending not noted", count=len(keys), reason=error.reason)
    return keys


@contextmanager
def settling(key: str) -> Iterator[None]:
    """Around the effect of a request: an expected error is what became of it, and is not tried again."""
    try:
        yield
    except (database.DatabaseUnavailable, FunctionsMissing):
        raise
    except ExpectedError as error:
        with database.transaction() as db:
            store.settle(db, key, at=clock.machine_now(), refused=str(error))
        raise
