"""What is wrong with a message that somebody put into a queue: no worker may die of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.foundation import clock

#: In seconds: what is to run later waits in a worker; after the visibility timeout another worker would get
#: it too.
ETA_MAX = 30.0
#: In bytes: messages hold ids, and a larger one is none of ours.
LARGEST = 1_000_000


#: In seconds: after how long a task is ended, and before that told to end.
HARD_LIMIT, SOFT_LIMIT = 30.0, 25.0
#: How often a message is returned that nobody settled: what ends its worker each time must not come back for
#: ever.
RESTORED_MAX = 10


def problem(message: Any) -> str | None:
    """Return which field of a message from the broker is not what Celery's protocol says.

    None when all are.
    """
    if not isinstance(message, dict):
        return "it is no JSON object"
    properties, headers = message.get("properties"), message.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_info"), dict):
        return "properties must be an object with delivery_info"
    if not all(
        isinstance(properties["delivery_info"].get(name), str) for name in ("exchange", "routing_key")
    ):
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
    """Return what is wrong with a message's headers (protocol 2), or its body (protocol 1)."""
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
    # Any other would end a worker's process, and it is not signed.
    if (options.get("timelimit") or [None, None]) not in ([None, None], [HARD_LIMIT, SOFT_LIMIT]):
        return f"{where}timelimit is ours to set: leave it out"
    if "job" in options and not _is_job(options["job"]):
        return f"{where}job is beat's own: leave it out"
    if not isinstance(options.get("retries") or 0, int):
        return f"{where}retries must be a whole number"
    return None


def _is_job(job: Any) -> bool:
    return job is None or (
        isinstance(job, dict) and isinstance(job.get("name"), str) and isinstance(job.get("due"), int | float)
    )


def restored(headers: Mapping[str, Any]) -> int:
    """Return how often a message was returned."""
    often = headers.get("restored")
    return often if isinstance(often, int) else 0


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


def body_problem(message: Any) -> str | None:
    """Return what is wrong with what a message holds: of protocol 1 its options stand in there, too."""
    body = message.payload
    if "task" in message.headers:
        whole = (
            isinstance(body, list)
            and len(body) == 3
            and all(map(isinstance, body, (list, dict, dict | None)))
        )
        if not whole:
            return "body must be [args, kwargs, embed]: a list and two objects"
        return _follow_ups_problem(body[2] or {})
    if not isinstance(body, dict) or "task" not in body:
        return None
    if not isinstance(body.get("args") or [], list) or not isinstance(body.get("kwargs") or {}, dict):
        return "args must be a list and kwargs an object"
    return _follow_ups_problem(body) or _options_problem(body, "")


#: Other tasks that Celery sends by itself once a message's own is done: in our name, whoever asked.
_FOLLOW_UPS = ("callbacks", "errbacks", "chain", "chord", "link", "link_error")


def _follow_ups_problem(options: Mapping[str, Any]) -> str | None:
    for name in (*_FOLLOW_UPS, "signature"):
        if options.get(name):
            return f"{name} is not taken here: send each task by a message of its own"
    return None
