"""Celery on Redis, with two costs taken out that were more than half of a worker's parent process, and one trap.

Measured by benchmarks.task_rate; nothing else of kombu's transport or Celery's consumer is changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from queue import Empty
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.json import dumps
from redis.exceptions import RedisError

from workers.foundation import clock, dead_letters, jobs, logs, telemetry

log = logs.get("broker")


#: In seconds: what is to run later waits in a worker; after the visibility timeout another worker would get it too.
ETA_MAX = 30.0
#: In bytes: messages hold ids, and a larger one is none of ours.
LARGEST = 1_000_000
#: How often a message is put back that nobody settled: what ends its worker each time must not come back for ever.
RESTORED_MAX = 10
#: In seconds: a worker that waits for messages reads each second whether one came.
READS_WITHIN = 3.0
#: What says that the broker is away, or that nothing waits; all else that a message raises is about the message.
NOT_THE_MESSAGE = (RedisError, OSError, Empty, OperationalError)


def problem(message: Any) -> str | None:
    """Return which field of a message from the broker is not what Celery's protocol says; None when all are."""
    if not isinstance(message, dict):
        return "it is no JSON object"
    properties, headers = message.get("properties"), message.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_info"), dict):
        return "properties must be an object with delivery_info"
    if not all(isinstance(properties["delivery_info"].get(name), str) for name in ("exchange", "routing_key")):
        return "properties.delivery_info must name exchange and routing_key"
    if not isinstance(properties.get("delivery_tag"), str):
        return "properties.delivery_tag must be a string"
    if not isinstance(headers, dict):
        return "headers must be an object"
    return _wrapping_problem(message, headers) or _headers_problem(headers)


def _wrapping_problem(message: Mapping[str, Any], headers: Mapping[str, Any]) -> str | None:
    """Return what is wrong with how the body is packed: it is read before anybody asks how large it gets."""
    if headers.get("compression"):
        return "headers.compression is not taken here; send the body as it is"
    if message.get("properties", {}).get("body_encoding") not in (None, "base64"):
        return "properties.body_encoding must be base64, or absent"
    if str(message.get("content-encoding") or "utf-8").lower() not in ("utf-8", "us-ascii", "binary"):
        return "content-encoding must be utf-8"
    if not isinstance(message.get("body"), str) or len(message["body"]) > LARGEST:
        return f"body must be a text of {LARGEST} bytes at most"
    return None


def _headers_problem(headers: Mapping[str, Any]) -> str | None:
    return _options_problem(headers, "headers.") if "task" in headers else None


def _options_problem(options: Mapping[str, Any], where: str) -> str | None:
    """Return what is wrong with the headers of a message of protocol 2, or with the body of one of protocol 1."""
    for name in ("task", "id"):
        if not isinstance(options.get(name), str):
            return f"{where}{name} must be a string"
    for name in ("eta", "expires"):
        if why := _moment_problem(options.get(name)):
            return f"{where}{name} {why}"
    if (eta := options.get("eta")) and _at(eta) - clock.epoch() > ETA_MAX:
        # Redis hands a message that waits longer to another worker, again and again.
        return f"{where}eta is more than {ETA_MAX} s ahead; send it when it is due"
    return _rest_problem(options, where)


def _rest_problem(options: Mapping[str, Any], where: str) -> str | None:
    limits = options.get("timelimit") or [None, None]
    if not isinstance(limits, list | tuple) or len(limits) != 2 or not all(map(_is_limit, limits)):
        return f"{where}timelimit must be two numbers above 0, or null"
    if "job" in options and not _is_job(options["job"]):
        return f"{where}job is beat's own: leave it out"
    if not isinstance(options.get("retries") or 0, int):
        return f"{where}retries must be a whole number"
    return None


def _is_job(job: Any) -> bool:
    return job is None or (
        isinstance(job, dict) and isinstance(job.get("name"), str) and isinstance(job.get("due"), int | float)
    )


def _restored(headers: Mapping[str, Any]) -> int:
    """Return how often a message was put back."""
    often = headers.get("restored")
    return often if isinstance(often, int) else 0


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
    """Return what is wrong with what a message holds: of protocol 1 its options stand in there, too."""
    body = message.payload
    if "task" in message.headers:
        whole = isinstance(body, list) and len(body) == 3 and all(map(isinstance, body, (list, dict, dict | None)))
        return None if whole else "body must be [args, kwargs, embed]: a list and two objects"
    if not isinstance(body, dict) or "task" not in body:
        return None
    if not isinstance(body.get("args") or [], list) or not isinstance(body.get("kwargs") or {}, dict):
        return "args must be a list and kwargs an object"
    return _options_problem(body, "")


def refuse(why: str | Exception, message: Any = None, queue: str = "", *, reason: str = "not_a_message") -> None:
    """Count, keep and say what was refused; of an error only its kind, for it may quote what the message said.

    `message` is kombu's, or what stood in the queue.
    """
    telemetry.refusals.labels("message", reason).inc()
    why_ = why if isinstance(why, str) else f"it raised {type(why).__name__}"
    if hasattr(message, "serializable"):
        queue, message = message.delivery_info.get("routing_key", ""), message.serializable()
    log.error("message refused", reason=reason, detail=f"{why_}; see `wedops dead-letters`", queue=queue)
    try:
        jobs.tally("messages_refused")
        dead_letters.keep(queue, why_, dumps(message).encode() if message else b"")
    except RedisError:
        log.warning("count lost", what="messages_refused", reason="redis")


class Channel(redis.Channel):
    """Keeps one client for its pool: kombu makes a new one, with its table of some 250 answers, for every operation."""

    _client: Any = None
    #: When something was read last, or nothing was there to read.
    read_at = 0.0

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        # The pool is another one after a fork or a reconnect.
        if self._client is None or self._client.connection_pool is not self.pool:
            self._client = super()._create_client()
        return self._client

    def _do_restore_message(self, payload: Any, *where: Any, **options: Any) -> None:
        # The message itself carries how often: another worker takes it next.
        headers = payload["headers"] = payload.get("headers") or {}
        headers["restored"] = _restored(headers) + 1
        super()._do_restore_message(payload, *where, **options)

    def _brpop_read(self, **options: Any) -> Any:
        # Also each second in which nothing came.
        self.read_at = clock.stopwatch()
        # What is no message at all would end the worker: anybody who can write to a queue could.
        try:
            return super()._brpop_read(**options)
        except NOT_THE_MESSAGE:
            raise
        except Exception as error:
            refuse(error)
            raise Empty from error


class Transport(redis.Transport):
    """kombu's Redis transport with our channel; what is no message is refused before it can harm."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if why := problem(message):
            refuse(why, message, queue)
        elif _restored(message.get("headers") or {}) > RESTORED_MAX:
            # A replay starts from nothing again.
            del message["headers"]["restored"]
            refuse(f"it was put back {RESTORED_MAX} times; it may be what ends its worker", message, queue, reason="restored")
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
                why: str | Exception | None = _body_problem(message)
                if not why:
                    return take(message)
            except NOT_THE_MESSAGE:
                raise
            except Exception as error:
                why = error
            self._refuse(message, why)
            while slots and slots.value < free:
                slots.release()
            return None

        return _take

    def is_consuming(self) -> bool:
        """Tell whether it takes messages, or works on some; neither is so when a pool slot is held by nobody."""
        channel, slots = getattr(self.task_consumer, "channel", None), self.controller.semaphore
        if self.hub is None or channel is None or not channel.active_queues or state.reserved_requests:
            return True
        return clock.stopwatch() - channel.read_at < READS_WITHIN and (slots is None or slots.value > 0)

    def _refuse(self, message: Any, why: str | Exception, *, reason: str = "not_a_message") -> None:
        refuse(why, message, reason=reason)
        if not message.acknowledged:
            message.ack()

    # Celery's own four ways to drop a message write what it said into the log, and keep nothing.
    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Refuse a body that can't be read."""
        self._refuse(message, exc)

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Refuse a task whose message is none."""
        self._refuse(message, exc)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Refuse what is no task."""
        self._refuse(message, "it is no task message")

    def on_unknown_task(self, _body: Any, message: Any, _exc: Exception) -> None:
        """Refuse a task that we don't have."""
        if isinstance(message.headers, dict) and message.headers.get("job"):
            # A beat of another version fired it: it comes again by itself, so there is nothing to keep.
            log.warning("job unknown", job=str(message.headers.get("task"))[:100], reason="another_version")
            message.ack()
            return
        self._refuse(message, "there is no such task", reason="task_unknown")

    def on_send_event_buffered(self) -> None:
        """Have what is buffered sent soon."""
        if self.hub and not self._flush_ahead:
            self._flush_ahead = True
            self.hub.call_later(self.GATHER, self._flush)

    def _flush(self) -> None:
        self._flush_ahead = False
        self._flush_events()
