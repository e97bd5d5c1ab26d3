"""Celery on Redis, with two costs taken out that were more than half of a worker's parent process, and one trap.

Measured by benchmarks.task_rate; nothing else of kombu's transport or Celery's consumer is changed.
"""

from queue import Empty
from typing import Any

from celery.worker.consumer import Consumer
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import RedisError

from workers.foundation import jobs, logs, telemetry

log = logs.get("broker")


#: What Celery and kombu raise on something that is no task message.
NOT_A_MESSAGE = (ValueError, KeyError, TypeError)


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
    return _header_problem(headers) if "task" in headers else None


def _header_problem(headers: dict[str, Any]) -> str | None:
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str):
            return f"headers.{name} must be a string"
    for name in ("eta", "expires"):
        if not isinstance(headers.get(name), str | None):
            return f"headers.{name} must be a string"
    limits = headers.get("timelimit") or [None, None]
    if not isinstance(limits, list) or len(limits) != 2 or not all(isinstance(one, int | float | None) for one in limits):
        return "headers.timelimit must be two numbers"
    return None


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

        def _take(message: Any) -> None:
            try:
                take(message)
            except NOT_A_MESSAGE as error:
                _refuse(error)
                if not message.acknowledged:
                    message.ack()

        return _take

    def on_send_event_buffered(self) -> None:
        """Have what is buffered sent soon."""
        if self.hub and not self._flush_ahead:
            self._flush_ahead = True
            self.hub.call_later(self.GATHER, self._flush)

    def _flush(self) -> None:
        self._flush_ahead = False
        self._flush_events()
