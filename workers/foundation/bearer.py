"""Bearer tokens (RFC 6750) and whose they are, in a time that tells nothing of them."""

from secrets import compare_digest


def given(authorization: str) -> str:
    """Return the token of an Authorization header; empty where it has none."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def owner(token: str, known: str) -> str | None:
    """Return whose token it is, of `name:secret` with spaces between them; None for nobody's."""
    for name, _, secret in (one.partition(":") for one in known.split()):
        if compare_digest(token.encode(), secret.encode()):
            return name
    return None
