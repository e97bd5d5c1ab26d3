"""An issuer's keys, fetched when they are needed and kept for a while."""

from functools import lru_cache
from typing import Any

import jwt

from workers.access.rules.issuer import Policy
from workers.foundation.errors import ExpectedError

#: In seconds.
PATIENCE, KEPT, LEEWAY = 3, 300, 5


class IssuerUnavailable(ExpectedError):
    """the keys of the issuer can't be read ({problem}); see API_ISSUER_JWKS, and send it again"""


class TokenRefused(ExpectedError):
    """the token is not taken: {problem}"""

    http_status = 401


def claims(token: str, policy: Policy) -> dict[str, Any]:
    """Return what a token of the issuer says. Raises TokenRefused, IssuerUnavailable."""
    try:
        key = _keys(policy.jwks).get_signing_key_from_jwt(token).key
        found: dict[str, Any] = jwt.decode(
            token,
            key,
            # Never the one that the token names.
            algorithms=[policy.algorithm],
            audience=policy.audience,
            issuer=policy.url,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
    except jwt.PyJWKClientConnectionError as error:
        raise IssuerUnavailable(problem=type(error.__cause__ or error).__name__) from error
    except jwt.PyJWTError as error:
        raise TokenRefused(problem=str(error)[:120]) from error
    return found


@lru_cache(maxsize=4)
def _keys(jwks: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(jwks, lifespan=KEPT, timeout=PATIENCE)
