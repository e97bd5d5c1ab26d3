"""Who calls: known by a key or a token, let do what their scopes say, shown what their bounds allow.

A route names its scope and how wide it looks: `system`, all weddings at once, for callers without bounds;
`weddings`, those that the caller may see; `wedding`, the one of its path.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from workers.access.rules.callers import Caller
from workers.access.usecases import callers
from workers.access.usecases.audit import BY_HTTP
from workers.foundation import clock
from workers.foundation.claims import EVERYTHING, Claims, claim
from workers.foundation.errors import ExpectedError
from workers.http import headers
from workers.weddings.rules.calendar import ID_PATTERN
from workers.weddings.usecases import reading

BEARER = HTTPBearer(auto_error=False, description="A key (`wedops callers add`), or a token of the issuer")
#: As PostgreSQL numbers rows.
RowId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[17])]
WeddingId = Annotated[
    str, Path(pattern=f"^{ID_PATTERN}$", description="id in the calendar", examples=["w-17"])
]


class ScopeMissing(ExpectedError):
    """{caller} may not do this: it lacks the scope {scope}"""

    http_status = 403


class CallerBounded(ExpectedError):
    """{caller} is shown some weddings only, and this is about all; ask for one wedding, or by another key"""

    http_status = 403


@dataclass(frozen=True)
class Call:
    """A caller, and as whom they are written down."""

    caller: Caller

    @property
    def by(self) -> str:
        """Return as whom the caller is written down."""
        return f"{BY_HTTP}{self.caller.name}"


async def identified(
    needed: SecurityScopes,
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Call:
    """Return who calls, whose scopes are those that are needed."""
    found = await run_in_threadpool(_identified, given.credentials if given else "", request)
    for scope in needed.scopes:
        if scope not in found.scopes:
            raise ScopeMissing(caller=found.name, scope=scope)
    return Call(found)


def _identified(token: str, request: Request) -> Caller:
    now = clock.machine_now()
    found = callers.identify(token, now=now)
    rate = callers.spend(found, now=now)
    headers.note(
        request.scope,
        ratelimit_policy=f'"minute";q={rate.limit};w=60',
        ratelimit=f'"minute";r={max(0, rate.left)};t={rate.again_in}',
    )
    if rate.left < 0:
        raise callers.TooManyCalls(caller=found.name, limit=rate.limit, seconds=rate.again_in)
    return found


async def _of_system(call: Annotated[Call, Security(identified)]) -> Call:
    if call.caller.is_bounded:
        raise CallerBounded(caller=call.caller.name)
    claim(EVERYTHING)
    return call


async def _of_weddings(call: Annotated[Call, Security(identified)]) -> Call:
    # What is claimed here, on the loop, holds for the whole request.
    claim(_claims(call.caller))
    return call


async def of_wedding(call: Annotated[Call, Security(identified)], wedding_id: WeddingId) -> Call:
    """Return who calls, who may see the wedding of the path. Raises WeddingUnknown."""
    claim(_claims(call.caller))
    if call.caller.is_bounded:
        # Whoever may not see it is not told whether there is one.
        await run_in_threadpool(reading.find, wedding_id)
        claim(Claims(wedding_id))
    return call


def _claims(caller: Caller) -> Claims:
    if not caller.is_bounded:
        return EVERYTHING
    return Claims(",".join(caller.wedding_ids), ",".join(caller.supplier_ids))


def system(scope: str) -> Any:
    """Return who may do something to the system as a whole."""
    return Security(_of_system, scopes=[scope])


def weddings(scope: str) -> Any:
    """Return who may do something with the weddings that they are shown."""
    return Security(_of_weddings, scopes=[scope])


def wedding(scope: str) -> Any:
    """Return who may do something with the wedding of the path."""
    return Security(of_wedding, scopes=[scope])
