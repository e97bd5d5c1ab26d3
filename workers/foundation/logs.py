"""Structured logs: one JSON object a line, with task_id, wedding_id and reason wherever there is one."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

import orjson

if TYPE_CHECKING:
    import structlog
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

#: Fields that may hold what nobody should read in a log.
_SECRET = frozenset({"password", "token", "secret", "url", "apikey", "authorization"})


#: From which level on a command's logs are told, once there are any.
_when_needed: int | None = None


class _Logger:
    """A room's logger, made when it first says something.

    For structlog takes longer to load than most commands take to run.
    """

    def __init__(self, room: str) -> None:
        self._room, self._made = room, None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            import structlog  # noqa: PLC0415

            if _when_needed is not None and not structlog.is_configured():
                # By itself it would print, amid what a command was asked for.
                configure(_when_needed)
            self._made = structlog.get_logger(room=self._room)
        return getattr(self._made, name)


def get(room: str) -> FilteringBoundLogger:
    """Return the logger of a room."""
    return cast("FilteringBoundLogger", _Logger(room))


class _ToStandardError(logging.StreamHandler[Any]):
    """Writes to standard error as it is when a line comes: who captured it meanwhile has closed theirs."""

    @property
    def stream(self) -> Any:
        """Return where standard error goes now."""
        return sys.stderr

    @stream.setter
    def stream(self, _first: object) -> None:
        pass


class _First(logging.Handler):
    """Stands in until somebody logs."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._when_needed = level

    def emit(self, record: logging.LogRecord) -> None:
        configure(self._when_needed)
        logging.getLogger(record.name).handle(record)


def configure_when_needed(level: int) -> None:
    """Do the same once something is logged: most commands of a person say nothing."""
    global _when_needed  # noqa: PLW0603 - a process has one log
    _when_needed = level
    logging.basicConfig(handlers=[_First(level)], level=level, force=True)


def configure(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to standard error as JSON lines."""
    import structlog  # noqa: PLC0415

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    render = structlog.processors.JSONRenderer(
        serializer=lambda event, **_: orjson.dumps(event, default=str).decode()
    )
    wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, wrap],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _ToStandardError()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    # A line a task from Celery's own tracer says nothing that the job record does not.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "apprise", "httpx"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _mask(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for field in _SECRET & event.keys():
        event[field] = "…"
    return event
