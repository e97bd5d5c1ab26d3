"""Who may read what the API says of the system."""

from typing import Annotated

from fastapi import Depends, Header

from workers.access.rules.edge import Policy
from workers.foundation import bearer, settings
from workers.foundation.errors import ExpectedError


class ReaderUnknown(ExpectedError):
    """no token of API_READ_TOKENS was sent; send `Authorization: Bearer SECRET`"""

    http_status = 401


def may_read(authorization: Annotated[str, Header()] = "") -> None:
    """Raise ReaderUnknown for who has no token, where some are set."""
    tokens = settings.read(Policy).read_tokens
    if tokens and bearer.owner(bearer.given(authorization), tokens) is None:
        raise ReaderUnknown


#: What answers them alone, where tokens are set.
READERS = [Depends(may_read)]
