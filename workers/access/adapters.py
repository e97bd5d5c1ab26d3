"""An issuer's keys, fetched when they are needed and kept for a while."""

from functools import lru_cache
from typing import Any

import jwt

from workers.access.rules.issuer import Policy
from workers.foundation import clock
from workers.foundation.errors import ExpectedError

#: In seconds.
PATIENCE, KEPT, LEEWAY, RESTS = 3, 300, 5, 5.0
#: By address, until when an issuer that failed is not asked again.
_rests_until: dict[str, float] = {}


class IssuerUnavailable(ExpectedError):
    """the keys of the issuer can't be read ({problem}); see API_ISSUER_JWKS, and send it again"""


class TokenRefused(ExpectedError):
    """the token is not taken: {problem}"""

    http_status = 401


def claims(token: str, policy: Policy) -> dict[str, Any]:
    """Return what a token of the issuer says. Raises TokenRefused, IssuerUnavailable."""
    try:
        found: dict[str, Any] = jwt.decode(
            token,
            _signing_key(token, policy.jwks),
            # Never the one that the token names.
            algorithms=[policy.algorithm],
            audience=policy.audience,
            issuer=policy.url,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
    except (jwt.PyJWTError, RecursionError) as error:
        raise TokenRefused(problem=str(error)[:120]) from error
    return found


def _signing_key(token: str, jwks: str) -> Any:
    """Return the key that a token names.

    An issuer that failed a moment ago is not asked: others would wait behind.
    """
    kid = str(jwt.get_unverified_header(token).get("kid"))
    if clock.stopwatch() < _rests_until.get(jwks, 0.0):
        raise IssuerUnavailable(problem="it failed a moment ago")
    try:
        return _keys(jwks).get_signing_key(kid).key
    except (jwt.PyJWKClientConnectionError, OSError, ValueError) as error:
        _rests_until[jwks] = clock.stopwatch() + RESTS
        raise IssuerUnavailable(problem=type(error.__cause__ or error).__name__) from error


@lru_cache(maxsize=4)
def _keys(jwks: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(jwks, lifespan=KEPT, timeout=PATIENCE)
