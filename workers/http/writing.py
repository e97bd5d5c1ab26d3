"""Writes: once a key, by somebody who is written down, all of it in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from sqlalchemy import Connection

from workers.access.usecases import audit
from workers.commands.rules.answers import Answer
from workers.commands.usecases import answering
from workers.foundation import clock, database
from workers.foundation.errors import ExpectedError
from workers.foundation.joining import afterwards, joining
from workers.http.calls import Call

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,99}$",
        description="the same key does it once, and is answered the same for 24 hours",
        examples=["order-17"],
    ),
]


class PreconditionMissing(ExpectedError):
    """If-Match is missing: send the ETag of what you change, so that nobody's change is lost"""

    http_status = 428


class PreconditionInvalid(ExpectedError):
    """If-Match: must be an ETag as it was answered"""

    http_status = 422


@dataclass(frozen=True)
class Written:
    """What is answered to a write, what that was about, and what wakes others once it is there."""

    body: Any
    subject: str = ""
    status: int = 200
    etag: int | None = None
    later: Callable[[], None] | None = None


@dataclass
class Write:
    """A write as it came: under which key, and what of."""

    key: str | None
    fingerprint: str
    action: str
    source: str

    def do(self, call: Call, effect: Callable[[Connection], Written]) -> Response:
        """Do it, unless it was done under this key: then answer the same again.

        Raises KeyInUse, KeyReused, and what `effect` raises: nothing is changed then.
        """
        name, now = call.caller.name, clock.machine_now()
        with database.transaction() as db, joining(db) as later:
            if self.key is None:
                answer, known = self._answer(db, call, effect), False
            else:
                answer, known = answering.once(
                    db, name, self.key, self.fingerprint, lambda: self._answer(db, call, effect), now=now
                )
        for work in later:
            work()
        headers = answer.headers | ({"Idempotent-Replayed": "true"} if known else {})
        return Response(answer.body, answer.status, headers, "application/json")

    @staticmethod
    def answer(body: Any) -> Response:
        """Answer what changes nothing."""
        return Response(_text(body), 200, media_type="application/json")

    def _answer(self, db: Connection, call: Call, effect: Callable[[Connection], Written]) -> Answer:
        written = effect(db)
        about = written.subject, self.source
        audit.record_call(db, call.by, call.caller.key, self.action, *about, now=clock.machine_now())
        if written.later:
            afterwards(written.later)
        headers = {"ETag": etag(written.etag)} if written.etag is not None else {}
        return Answer(self.fingerprint, written.status, headers, _text(written.body))


def _text(body: Any) -> str:
    return orjson.dumps(jsonable_encoder(body)).decode()


async def _write(request: Request, idempotency_key: Key = None) -> Write:
    said = (request.method, request.url.path, request.url.query, request.headers.get("if-match", ""))
    mark = blake2b("\0".join(said).encode() + b"\0" + await request.body(), digest_size=16)
    route = getattr(request.scope.get("route"), "path", request.url.path)
    source = request.client.host if request.client else ""
    return Write(idempotency_key, mark.hexdigest(), f"{request.method} {route}", source)


async def _raw(request: Request) -> bytes:
    return await request.body()


Writing = Annotated[Write, Depends(_write)]
RawBody = Annotated[bytes, Depends(_raw)]


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def _expected(if_match: Annotated[str, Header(description="the ETag of what is changed")] = "") -> int:
    if not if_match:
        raise PreconditionMissing
    digits = if_match.removeprefix('"').removesuffix('"')
    if if_match != etag(int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else -1):
        raise PreconditionInvalid
    return int(digits)


#: The version that a change goes by: 428 without one.
Expected = Annotated[int, Depends(_expected)]
