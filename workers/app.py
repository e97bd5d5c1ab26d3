"""The Celery app: queues, routes, limits, signals; names the tasks' rooms."""

import ssl
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import celery
import structlog
from celery import signals
from redis.exceptions import RedisError

from workers.foundation import (
    broker,
    celery_options,
    clock,
    database,
    dead_letters,
    jobs,
    keys,
    liveness,
    logs,
    maintenance,
    queues,
    redis,
    settings,
    signatures,
    telemetry,
)
from workers.foundation.celery_options import HARD_LIMIT
from workers.foundation.errors import ExpectedError

log = logs.get("app")

ROOMS = (
    "workers.alerts",
    "workers.balancing",
    "workers.caching",
    "workers.commands",
    "workers.connections",
    "workers.delivery",
    "workers.emergencies",
    "workers.forecasting",
    "workers.journal",
    "workers.measurements",
    "workers.notify",
    "workers.operations",
    "workers.responses",
    "workers.retention",
    "workers.scaling",
    "workers.seasons",
    "workers.snapshots",
    "workers.wedding_day",
)

#: In seconds; short, for Redis hands a delayed message to somebody else after the visibility timeout.
RETRY_AFTER, RETRIES = 5, 720


class App(celery.Celery):
    """Stamps every message with the moment of its enqueueing, from which a queue's age follows."""

    def send_task(self, name: str, *args: Any, headers: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a task by name, as Celery does."""
        return super().send_task(
            name, *args, headers={"enqueued_at": clock.epoch()} | (headers or {}), **options
        )

    def wake(self, name: str) -> None:
        """Have a task run soon, which also runs by its schedule; once for all who ask before it begins.

        It sees what was committed before it begins, so none of them is missed. A message that waits for more
        than a minute may be lost: it is sent again for who asks then.
        """
        if not jobs.wake(name):
            return
        try:
            self.send_task(name, headers={"woken": True}, retry=False)
        except BaseException:
            jobs.woken(name)
            raise

    def queue_of(self, name: str) -> str:
        """Return the queue that a task waits in."""
        return str(self.amqp.router.route({}, name)["queue"].name)


class PositionalRefused(ExpectedError):
    """{task} got {count} positional argument(s); send keyword arguments only (docs/guides/services.md)"""

    keeps_message = True


class Task(celery.Task):
    """Runs a body; for a periodic job also one copy at a time, with a record.

    Beat marks its messages with the header `job`; so what runs periodically is the schedule's
    knowledge, and a task sent by hand or by another service simply runs. A job that `maintains` is fired
    often, and runs once a day, when no wedding is near.
    """

    maintains = False

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the body with its ids bound to the log; an expected error ends the task well."""
        request = self.request
        # A label only for what is one: anybody may write any routing key.
        routing_key = (request.delivery_info or {}).get("routing_key", "")
        queue = routing_key if routing_key in queues.NAMES else "other"
        if isinstance(enqueued_at := request.get("enqueued_at"), int | float):
            telemetry.task_wait_seconds.labels(queue).observe(max(0.0, clock.epoch() - enqueued_at))
        begun = clock.stopwatch()
        # What a message names reaches the log once it was checked: commands.usecases.commands.bind.
        structlog.contextvars.clear_contextvars()
        with (
            structlog.contextvars.bound_contextvars(task=self.name, task_id=request.id),
            signatures.sent_by(request.get("signature")),
        ):
            # Jobs are beat's own, and so is waking: a service has neither.
            ours = not signatures.is_foreign()
            if ours and request.get("woken"):
                jobs.woken(self.name)
            is_job = ours and request.get("job")
            outcome = self._job(request, args, kwargs) if is_job else self._body(args, kwargs)
        telemetry.tasks.labels(self.name, outcome).inc()
        telemetry.task_seconds.labels(self.name).observe(clock.stopwatch() - begun)

    def _body(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        try:
            if args:
                raise PositionalRefused(task=self.name, count=len(args))
            signatures.check_offered(self.name)
            self.run(**kwargs)
        except (database.DatabaseUnavailable, redis.FunctionsMissing) as error:
            if self.request.get("job") or self.request.called_directly:
                return self._ended(error)
            # Accepted by taking it from the queue: it is not given up for a server that is unavailable.
            raise self.retry(exc=error, countdown=RETRY_AFTER, max_retries=RETRIES) from error
        except redis.UNREACHABLE as error:
            if self.request.get("job") or self.request.called_directly:
                raise
            raise self.retry(exc=error, countdown=RETRY_AFTER, max_retries=RETRIES) from error
        except ExpectedError as error:
            return self._ended(error)
        return "ok"

    def _ended(self, error: ExpectedError) -> str:
        telemetry.refusals.labels(self.name, error.reason).inc()
        if error.keeps_message and not self.request.called_directly:
            _keep(self.request, self.name, str(error))
        log.warning("task ended early", reason=error.reason, detail=str(error))
        return error.reason

    def _job(self, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        name = request.job["name"]
        if not jobs.begin(
            name, token=request.id, ttl=HARD_LIMIT + timedelta(seconds=5), due=request.job["due"]
        ):
            log.warning("job skipped", job=name, reason="still_running")
            return "skipped"
        result = "failed"
        try:
            body = partial(self._body, args, kwargs)
            result = maintenance.run(name, body) if self.maintains else body()
        finally:
            jobs.finish(name, result, token=request.id)
        return result


# Before anything connects: what this process sends is signed.
broker.install()
# Before Flower, a command of this app, reads its own.
settings.settle_environment()
# Never the current app: a service that imports workers.client keeps its own.
app = App("wedops", task_cls=Task, set_as_current=False, include=[f"{room}.tasks" for room in ROOMS])
# Without this kombu takes any certificate behind rediss://, where our own clients ask for a good one.
_TLS = {"broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}}
_URL = settings.servers().broker_url
app.conf.update(broker_url=_URL, **(_TLS if _URL.startswith("rediss://") else {}), **celery_options.ALL)


app.steps["consumer"].add(liveness.SignOfLife)


@signals.setup_logging.connect
def _logs(loglevel: int | str | None = None, **_later: Any) -> None:
    logs.configure(loglevel if isinstance(loglevel, int) else 20)


@signals.celeryd_init.connect
@signals.beat_init.connect
def _begin(**_later: Any) -> None:
    # Before Celery's own set-up, whose warnings would have a form of their own.
    logs.configure()


@signals.task_failure.connect
def _failed(
    sender: Any = None, exception: BaseException | None = None, task_id: str = "", **_later: Any
) -> None:
    telemetry.tasks.labels(sender.name, "failed").inc()
    log.error(
        "task failed",
        task=sender.name,
        task_id=task_id,
        reason=type(exception).__name__,
        detail=_detail(exception),
    )
    _tally("tasks_failed")
    # A periodic job comes again by itself, and so does what has no content.
    if (request := getattr(sender, "request", None)) and request.kwargs and not request.get("job"):
        _keep(request, sender.name, f"it raised {type(exception).__name__}")


@signals.task_revoked.connect
def _late(sender: Any = None, request: Any = None, expired: bool = False, **_later: Any) -> None:
    job = getattr(request, "job", None)
    if expired and not job:
        _keep(request, sender.name, "it expired before a worker took it")
    if not expired or not job:
        return
    telemetry.tasks.labels(sender.name, "late").inc()
    log.warning("job dropped", job=job["name"], reason="late")
    jobs.late(job["name"])
    _tally("jobs_late")


@signals.worker_shutdown.connect
def _ends(sender: Any = None, **_later: Any) -> None:
    # Who ends in good order is not missed.
    with suppress(RedisError):
        redis.registry().hdel(keys.WORKERS, str(getattr(sender, "hostname", sender)))


def _detail(error: BaseException | None) -> str:
    # An answer of PostgreSQL quotes what a row holds.
    return str(getattr(error, "orig", error)).partition("\n")[0] if error else ""


def _keep(request: Any, task: str, why: str) -> None:
    queue = (request.delivery_info or {}).get("routing_key", "")
    try:
        caller = signatures.sender() if signatures.is_foreign() else ""
        letter = dead_letters.enveloped(task, request.id, request.args, request.kwargs, queue, caller=caller)
        dead_letters.keep(queue, why, letter)
    except (RedisError, TypeError) as error:
        log.warning("dead letter lost", task=task, reason=type(error).__name__)


def _tally(what: str) -> None:
    # A count must never be what breaks a task: the log line above already tells.
    try:
        jobs.tally(what)
    except RedisError as error:
        log.warning("count lost", what=what, reason="redis", detail=str(error))
