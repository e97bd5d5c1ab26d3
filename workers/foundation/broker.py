"""Celery on Redis without two costs that were half of a worker's parent process, and without one trap.

Measured by benchmarks.task_rate; nothing else of kombu's transport or Celery's consumer is changed.
"""

from queue import Empty
from typing import Any
from urllib.parse import unquote, urlsplit

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.utils.json import dumps
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from workers.foundation import (
    clock,
    dead_letters,
    jobs,
    logs,
    messages,
    queues,
    settings,
    signatures,
    telemetry,
)

log = logs.get("broker")


#: In seconds: a worker that waits for messages reads each second whether one came.
READS_WITHIN = 3.0
#: What says that the broker is unavailable, or that nothing waits; all else that a message raises is about
#: the message.
NOT_THE_MESSAGE = (RedisError, OSError, Empty, OperationalError)


def refuse(
    why: str | Exception, message: Any = None, queue: str = "", *, reason: str = "not_a_message"
) -> None:
    """Count, keep and say what was refused.

    Of an error only its kind, for it may quote what the message said. `message` is kombu's, or what stood in
    the queue.
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


class Login(CredentialProvider):
    """The login of WEDOPS_BROKER_URL as it is when somebody connects: a secret rotates without a stop."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user and password, or the password alone."""
        url = urlsplit(settings.servers().broker_url)
        user, password = (unquote(one or "") for one in (url.username, url.password))
        return (user, password) if user else (password,)


class Channel(redis.Channel):
    """Keeps one client for its pool, and connects with the newest login.

    By itself kombu makes a new one, with its table of some 250 answers, for every operation.
    """

    _client: Any = None
    #: When something was read last, or nothing was there to read.
    read_at = 0.0

    def _process_credential_provider(self, given: Any, connparams: dict[str, Any]) -> None:
        provider = given or (Login() if connparams.get("password") else None)
        super()._process_credential_provider(provider, connparams)

    def _inplace_augment_message(self, message: Any, exchange: str, routing_key: str) -> None:
        super()._inplace_augment_message(message, exchange, routing_key)
        if "task" in (message.get("headers") or {}):
            signatures.sign(message, signatures.policy().keys)

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
        headers["restored"] = messages.restored(headers) + 1
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
        if queue not in queues.NAMES:
            # Another app's of this process, or an answer to an operator.
            super()._deliver(message, queue)
        elif why := messages.problem(message):
            refuse(why, message, queue)
        elif why := signatures.problem(message, signatures.policy()):
            refuse(why, message, queue, reason="signature")
        elif messages.restored(message.get("headers") or {}) > messages.RESTORED_MAX:
            # A replay starts from nothing again.
            del message["headers"]["restored"]
            refuse(
                f"it was returned {messages.RESTORED_MAX} times; it may be what ends its worker",
                message,
                queue,
                reason="restored",
            )
        else:
            super()._deliver(message, queue)


def install() -> None:
    """Use our transport in this process, by alias, so that addresses keep their scheme.

    Flower knows redis:// only.
    """
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class GatheringConsumer(Consumer):
    """Sends task events to Flower a few times a second instead of after every task.

    24 at once go out at once. A message that can't be unpacked is refused once. Celery would end the worker,
    and meet it again after the restart.
    """

    GATHER = 0.2
    _flush_ahead = False

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return what takes messages."""
        take = super().create_task_handler(*args, **kwargs)

        def _take(message: Any) -> Any:
            slots = self.controller.semaphore
            free = slots.value if slots else 0
            # Whatever one message raises is that message's refusal: it must neither end the worker nor come
            # back to it.
            try:
                why: str | Exception | None = messages.body_problem(message)
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
        """Tell whether it takes messages, or works on some.

        Neither is so when a pool slot is held by nobody.
        """
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
