"""Whose tokens are taken beside our own keys: a platform's that signs in its services by OpenID Connect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from workers.access.rules import callers
from workers.access.rules.callers import Caller
from workers.weddings.rules.calendar import ID

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True)
class Policy:
    """Tokens of `url` for `audience` are taken, signed by `algorithm` with a key of the address `jwks`.

    Their `sub` is the caller's name, `scope` its scopes; `wedops_suppliers` and `wedops_weddings`, lists of
    ids, bound what it is shown.
    """

    prefix: ClassVar = "API_ISSUER_"

    url: str = ""
    audience: str = "wedops"
    jwks: str = ""
    algorithm: str = "RS256"

    def __post_init__(self) -> None:
        """Refuse what could take anybody's token."""
        if bool(self.url) != bool(self.jwks):
            raise ValueError("url and jwks go together")
        if self.jwks and not self.jwks.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError("jwks must start with https://, or be on this machine")
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one with two keys: {', '.join(ALGORITHMS)}")


def caller(claims: Mapping[str, Any]) -> Caller:
    """Return who a token is for; raises ValueError naming the claim that is none."""
    name = claims.get("sub")
    if not isinstance(name, str) or not callers.NAME.fullmatch(name):
        raise ValueError(f"sub must be {callers.NAME_REMEDY}")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise ValueError("scope must be a text with spaces between its scopes")
    # Scopes of others in the same token are none of ours.
    ours = [one for one in scope.split() if one == callers.ALL_READ or one in callers.SCOPES]
    bounds = [_ids(claims, one) for one in ("wedops_suppliers", "wedops_weddings")]
    return Caller(f"{callers.ISSUER}/{name}", callers.ISSUER, frozenset(callers.scopes(ours)), *bounds)


def _ids(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = claims.get(name)
    if found is None:
        return ()
    # An empty list bounds to nobody, and must not be read as no bounds.
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(one, str) and ID.fullmatch(one) for one in found)
    ):
        raise ValueError(f"{name} must be a list of ids, or be left out")
    return tuple(found)


def _is_id(one: Any) -> bool:
    return isinstance(one, str) and bool(ID.fullmatch(one))
