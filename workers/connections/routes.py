"""Who asks by HTTP with a permit: shown what that person may see, and nothing else."""

from typing import Annotated

from fastapi import Depends, Header
from fastapi.concurrency import run_in_threadpool

from workers.connections.formats.permits import Permit
from workers.connections.usecases import permits
from workers.foundation import bearer, claims
from workers.foundation.claims import Claims


async def holder(authorization: Annotated[str, Header()] = "") -> Permit:
    """Return whose permit came with a request, for whom the database is asked from now on."""
    # In a thread, for what was taken back may have to be asked for. What is claimed here, on the loop, holds
    # for the whole request.
    permit = await run_in_threadpool(permits.read, bearer.given(authorization))
    claims.claim(Claims(permit.wedding_id or "", permit.supplier_id or ""))
    return permit


Holder = Annotated[Permit, Depends(holder)]
