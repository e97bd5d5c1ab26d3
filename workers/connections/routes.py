"""Who asks by HTTP with a permit: shown what that person may see, and nothing else."""

from typing import Annotated

from fastapi import Depends, Header

from workers.connections.formats.permits import Permit
from workers.connections.usecases import permits
from workers.foundation import claims
from workers.foundation.claims import Claims


async def _holder(authorization: Annotated[str, Header()] = "") -> Permit:
    """Return whose permit came with a request, for whom the database is asked from now on."""
    # On the loop, not in a thread: what is claimed holds for the whole request.
    scheme, _, token = authorization.strip().partition(" ")
    permit = permits.read(token.strip() if scheme.casefold() == "bearer" else "")
    claims.claim(Claims(permit.wedding_id or "", permit.supplier_id or ""))
    return permit


Holder = Annotated[Permit, Depends(_holder)]
