"""Celery on Redis, with two costs taken out that were more than half of a worker's parent process, and one trap.

Measured by benchmarks.task_rate; nothing else of kombu's transport or Celery's consumer is changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from queue import Empty
from typing import Any

from celery.worker.consumer import Consumer
from kombu.exceptions import DecodeError
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import RedisError

from workers.foundation import clock, jobs, logs, telemetry

log = logs.get("broker")


#: In seconds: what is to run later waits in a worker; after the visibility timeout another worker would get it too.
ETA_MOST = 30.0
#: What Celery and kombu raise on something that is no task message.
NOT_A_MESSAGE = (ValueError, KeyError, TypeError, RecursionError, AttributeError)


def problem(message: Any) -> str | None:
    """Return which field of a message from the broker is not what Celery's protocol says; None when all are."""
    if not isinstance(message, dict):
        return "it is no JSON object"
    properties, headers = message.get("properties"), message.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_info"), dict):
        return "properties must be an object with delivery_info"
    if not isinstance(properties.get("delivery_tag"), str):
        return "properties.delivery_tag must be a string"
    if not isinstance(headers, dict):
        return "headers must be an object"
    return _options_problem(headers, "headers.") if "task" in headers else None


def _options_problem(options: Mapping[str, Any], where: str) -> str | None:
    """Return what is wrong with the headers of a message of protocol 2, or with the body of one of protocol 1."""
    for name in ("task", "id"):
        if not isinstance(options.get(name), str):
            return f"{where}{name} must be a string"
    for name in ("eta", "expires"):
        if why := _moment_problem(options.get(name)):
            return f"{where}{name} {why}"
    if (eta := options.get("eta")) and _at(eta) - clock.epoch() > ETA_MOST:
        # Redis hands a message that waits longer to another worker, again and again.
        return f"{where}eta is more than {ETA_MOST} s ahead; send it when it is due"
    limits = options.get("timelimit") or [None, None]
    if not isinstance(limits, list | tuple) or len(limits) != 2 or not all(map(_is_limit, limits)):
        return f"{where}timelimit must be two numbers above 0, or null"
    if not isinstance(options.get("retries") or 0, int):
        return f"{where}retries must be a whole number"
    return None


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6)


def _moment_problem(value: Any) -> str | None:
    if value is None:
        return None
    try:
        _at(value)
    except (TypeError, ValueError, OverflowError):
        return "must be a moment in ISO 8601, or absent"
    return None


def _at(text: str) -> float:
    """Return seconds since 1970; a moment without a zone is UTC's, as Celery has it."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _body_problem(message: Any) -> str | None:
    """Return what is wrong with a message of protocol 1, whose options stand in its body; None for one of protocol 2."""
    if "task" in message.headers:
        return None
    body = message.payload
    if not isinstance(body, dict) or "task" not in body:
        return None
    if not isinstance(body.get("args") or [], list) or not isinstance(body.get("kwargs") or {}, dict):
        return "args must be a list and kwargs an object"
    if body.get("retries") is not None and not isinstance(body["retries"], int):
        return "retries must be a whole number"
    return _options_problem(body, "")


def _refuse(why: str | Exception) -> None:
    telemetry.refusals.labels("message", "not_a_message").inc()
    detail = f"{why if isinstance(why, str) else repr(why)}; send Celery protocol 2, see docs/guides/services.md"
    log.error("message refused", reason="not_a_message", detail=detail)
    try:
        jobs.tally("messages_refused")
    except RedisError:
        log.warning("count lost", what="messages_refused", reason="redis")


class Channel(redis.Channel):
    """Keeps one client for its pool: kombu makes a new one, with its table of some 250 answers, for every operation."""

    _client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        # The pool is another one after a fork or a reconnect.
        if self._client is None or self._client.connection_pool is not self.pool:
            self._client = super()._create_client()
        return self._client

    def _brpop_read(self, **options: Any) -> Any:
        # What is no message at all would end the worker: anybody who can write to a queue could.
        try:
            return super()._brpop_read(**options)
        except NOT_A_MESSAGE as error:
            _refuse(error)
            raise Empty from error


class Transport(redis.Transport):
    """kombu's Redis transport with our channel; what is no message is refused before it can harm."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if why := problem(message):
            _refuse(why)
        else:
            super()._deliver(message, queue)


def install() -> None:
    """Use our transport in this process, by alias, so that addresses keep their scheme: Flower knows redis:// only."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class GatheringConsumer(Consumer):
    """Sends task events to Flower a few times a second instead of after every task; 24 at once go out at once.

    A message that can't be unpacked is refused once. Celery would end the worker, and meet it again after the restart.
    """

    GATHER = 0.2
    _flush_ahead = False

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return what takes messages."""
        take = super().create_task_handler(*args, **kwargs)

        def _take(message: Any) -> Any:
            slots = self.controller.semaphore
            free = slots.value if slots else 0
            # Whatever one message raises is that message's refusal: it must neither end the worker nor come back to it.
            try:
                if why := _body_problem(message):
                    _refuse(why)
                else:
                    return take(message)
            except (*NOT_A_MESSAGE, DecodeError, AttributeError, RecursionError, ArithmeticError, LookupError) as error:
                _refuse(error)
                while slots and slots.value < free:
                    slots.release()
            if not message.acknowledged:
                message.ack()
            return None

        return _take

    def on_send_event_buffered(self) -> None:
        """Have what is buffered sent soon."""
        if self.hub and not self._flush_ahead:
            self._flush_ahead = True
            self.hub.call_later(self.GATHER, self._flush)

    def _flush(self) -> None:
        self._flush_ahead = False
        self._flush_events()
