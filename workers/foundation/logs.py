"""Structured logs: one JSON object a line, with task_id, wedding_id and reason wherever there is one."""

import logging
import sys

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

#: Fields that may hold what nobody should read in a log.
_SECRET = frozenset({"password", "token", "secret", "url", "apikey", "authorization"})


def get(room: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a room."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def configure(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to standard error as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    render = structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str).decode())
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    # A line a task from Celery's own tracer says nothing that the job record does not.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "apprise", "httpx"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _mask(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for field in _SECRET & event.keys():
        event[field] = "…"
    return event
