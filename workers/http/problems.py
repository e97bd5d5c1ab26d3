"""What was not done and why, as problem details (RFC 9457): our code, the field that is meant, the remedy."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import Scope

from workers.access.rules.edge import Policy
from workers.foundation import database, logs, settings, telemetry
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.penalties import Penalties
from workers.measurements import routes as measurement_routes

log = logs.get("api")

MEDIA_TYPE = "application/problem+json"
_penalties = Penalties()
#: `field: what is wrong` and `field=value is wrong`, as our errors say it.
_FIELD = re.compile(r"([a-z][a-z_.\[\]0-9]*)(?:: |=)")


class Problem(BaseModel):
    """What was not done and why (RFC 9457): by our `code`, with the field that is meant, if one is."""

    type: str = Field(examples=["/problems/wedding_unknown"])
    title: str = Field(examples=["Wedding unknown"])
    status: int = Field(examples=[404])
    detail: str
    code: str = Field(examples=["wedding_unknown"])
    reason: str = Field(description="`code` by its name of before", examples=["wedding_unknown"])
    field: str | None = None
    instants: list[str] | None = Field(default=None, description="what a local time could be")
    errors: list[dict[str, str]] | None = Field(
        default=None, description="each field and what is wrong with it"
    )


def install(api: FastAPI) -> None:
    """Have an API answer in problem details."""
    api.add_exception_handler(ExpectedError, _refused)
    api.add_exception_handler(RedisError, _broker_unavailable)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _unserved)
    api.add_exception_handler(ProgrammingError, _forbidden)
    api.add_exception_handler(DataError, _not_kept)
    api.add_exception_handler(OperationalError, _busy)
    api.add_exception_handler(PoolTimeout, _busy)
    api.add_exception_handler(Exception, _unexpected)


def answer(
    request: Request, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """Return a problem in the form that its sender reads. `reason` is `code` by its name of before."""
    detail = storable(detail)
    body = {
        "type": f"/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "reason": code,
        **({"field": found[1]} if (found := _FIELD.match(detail)) else {}),
        **more,
    }
    refused = measurement_routes.refused(request, status, detail, headers)
    return refused or JSONResponse(body, status, headers, MEDIA_TYPE)


async def _refused(request: Request, error: Any) -> Response:
    telemetry.refusals.labels("api", error.reason).inc()
    address = request.client.host if request.client else ""
    if error.http_status == 401 and not await _penalties.hold(address):
        said = "come back in a minute"
        return answer(request, 429, "too_many_bad_tokens", said, {"Retry-After": "60"})
    again = str(error.facts.get("seconds", 2))
    headers = {"Retry-After": again} if error.http_status in (429, 503) else {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="wedops"'
    facts = {name: error.facts[name] for name in ("field", "instants") if name in error.facts}
    return answer(request, error.http_status, error.reason, str(error), headers, **facts)


async def _broker_unavailable(request: Request, error: Exception) -> Response:
    telemetry.refusals.labels("api", "broker_away").inc()
    detail = f"the broker does not answer ({type(error).__name__}); nothing was taken: send it again"
    return answer(request, 503, "broker_away", detail, {"Retry-After": "2"})


async def _invalid(request: Request, error: Any) -> Response:
    telemetry.refusals.labels("api", "invalid").inc()
    # Where a body as a whole is none, no field is meant.
    errors = [
        {"field": storable(".".join(map(str, one["loc"][1:])) or str(one["loc"][0])), "problem": one["msg"]}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['field']}: {one['problem']}" for one in errors)
    return answer(request, 422, "invalid", detail, field=errors[0]["field"], errors=errors)


async def _unserved(request: Request, error: Any) -> Response:
    """Answer what the framework refuses: a path that is none, a method that a path has not."""
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return answer(request, error.status_code, code, str(error.detail), dict(error.headers or {}))


async def _forbidden(request: Request, error: Any) -> Response:
    """Answer what row level security refuses: a row that is, or would be, somebody else's."""
    if not database.is_kept_away(error):
        return await _unexpected(request, error)
    telemetry.refusals.labels("api", "not_yours").inc()
    detail = "this is, or would be, of a wedding that your key is not shown; nothing was changed"
    return answer(request, 403, "not_yours", detail)


async def _not_kept(request: Request, _error: Any) -> Response:
    telemetry.refusals.labels("api", "invalid").inc()
    detail = "something in it is no text or figure that the database keeps; nothing was changed"
    return answer(request, 422, "invalid", detail)


async def _busy(request: Request, error: Any) -> Response:
    """Answer who waited too long for others: for a lock, for a connection."""
    telemetry.refusals.labels("api", "busy").inc()
    log.warning("request gave way", reason=type(error).__name__, path=request.url.path)
    said = "others are being served; nothing was changed: send it again"
    return answer(request, 503, "busy", said, {"Retry-After": "2"})


async def _unexpected(request: Request, error: Any) -> Response:
    log.error("request failed", reason=type(error).__name__, path=request.url.path, exc_info=error)
    detail = "something is wrong here, and was written down; what was sent is not to blame"
    return answer(request, 500, "unexpected", detail)


def too_large(scope: Scope) -> Response:
    """Answer a body that is larger than the API takes."""
    telemetry.refusals.labels("api", "too_large").inc()
    detail = f"a body may have {settings.read(Policy).body_max} bytes"
    return answer(Request(scope), 413, "too_large", detail, {"Connection": "close"})
