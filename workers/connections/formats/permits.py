"""Permits: short-lived signed tokens that say who a person is and which wedding they may join.

The platform issues them, gateways check them: JWT (RFC 7519) with HS256, so that any language's library can.
Keys rotate: the first of CONNECTIONS_PERMIT_KEYS signs, all of them verify, and each token names its own.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

import jwt

from workers.connections.rules.admission import UserType
from workers.connections.rules.revocations import Revocation, is_revoked
from workers.foundation import clock, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.settings import SettingInvalid
from workers.weddings.rules.calendar import ID, ID_REMEDY, NAME, NAME_REMEDY

VARIABLE = "CONNECTIONS_PERMIT_KEYS"
AUDIENCE = "wedops"
#: A permit that lives longer is refused: it could not be taken back.
LONGEST = timedelta(hours=1)
#: In seconds: by how much clocks may differ.
LEEWAY = 5
_SHORTEST_KEY = 32


class PermitRefused(ExpectedError):
    """{why}: {remedy}"""

    @property
    def http_status(self) -> int:  # type: ignore[override]
        """Return 403 for one that is good, and not for this; 401 for any other."""
        return 403 if self.reason == "wrong_wedding" else 401

    @property
    def reason(self) -> str:
        """Return what the registry counts it as."""
        return str(self.facts["why"])


#: What of a permit says who somebody is.
WHO = ("user_id", "user_type", "wedding_id", "supplier_id", "supplier_type")


@dataclass(frozen=True)
class Permit:
    """Who somebody is, and the one wedding that this permit is for.

    Of one that was read also by which key it was signed, when, and until when it is good (epoch seconds).
    """

    user_id: str
    user_type: str
    wedding_id: str | None = None
    supplier_id: str | None = None
    supplier_type: str | None = None
    key: str = ""
    issued_at: float = 0.0
    expires_at: float = 0.0

    def who(self) -> dict[str, Any]:
        """Return who its holder is, as the registry wants it."""
        return {name: getattr(self, name) for name in WHO}

    def is_revoked(self, revoked: Iterable[Revocation], *, at: float) -> bool:
        """Tell whether it was taken back, as of a moment in epoch seconds."""
        return is_revoked(self.user_id, self.wedding_id, self.key, self.issued_at, revoked, at=at)


def keys() -> dict[str, str]:
    """Return the secrets by name, the signing one first. Raises SettingInvalid."""
    return settings.good(VARIABLE, _keys)


def _keys() -> dict[str, str]:
    found = dict(
        pair.strip().split(":", 1) for pair in os.environ.get(VARIABLE, "").split(",") if ":" in pair
    )
    if VARIABLE not in os.environ:
        raise SettingInvalid(
            variable=VARIABLE,
            value=None,
            allowed="is not set; set it to name:secret, or name:secret,older:secret",
        )
    if not found or any(len(secret) < _SHORTEST_KEY for secret in found.values()):
        allowed = (
            f"write name:secret, or name:secret,older:secret while keys rotate; a secret has {_SHORTEST_KEY} "
            "characters or more"
        )
        raise SettingInvalid(variable=VARIABLE, value="…", allowed=allowed)
    return found


def check_names(permit: Permit) -> None:
    """Raise PermitRefused for an id that no registry would take."""
    for name, value in permit.who().items():
        allowed, remedy = (NAME, NAME_REMEDY) if name == "user_id" else (ID, ID_REMEDY)
        if value is not None and not allowed.fullmatch(value):
            # Never the value: it may be somebody's name or address.
            remedy = f"{name} must be {remedy}, and nobody's address or name"
            raise PermitRefused(why="token_invalid", remedy=remedy)


def issue(permit: Permit, *, valid_for: timedelta = timedelta(minutes=15)) -> str:
    """Return a signed token for `permit`."""
    name, secret = next(iter(keys().items()))
    issued = int(clock.epoch())
    facts = {
        field: value for field, value in permit.who().items() if value is not None and field != "user_id"
    }
    times = {"iat": issued, "exp": issued + int(valid_for.total_seconds())}
    return jwt.encode(
        {"sub": permit.user_id, "aud": AUDIENCE} | facts | times, secret, "HS256", {"kid": name}
    )


def read(token: str) -> Permit:
    """Return what a token permits.

    Raises PermitRefused: missing, invalid, expired or of a key that is none of ours.
    """
    if not token:
        raise PermitRefused(why="token_missing", remedy="send the permit that the platform issued")
    try:
        name = jwt.get_unverified_header(token).get("kid", "")
        secret = keys().get(name)
        if secret is None:
            raise PermitRefused(
                why="token_key_unknown", remedy="fetch a new permit: its key was rotated out, or is not ours"
            )
        claims = jwt.decode(
            token, secret, ["HS256"], {"require": ["exp", "iat", "sub"]}, audience=AUDIENCE, leeway=LEEWAY
        )
    except jwt.ExpiredSignatureError:
        raise PermitRefused(why="token_expired", remedy="fetch a new permit") from None
    except jwt.InvalidTokenError as error:
        raise PermitRefused(why="token_invalid", remedy=f"{error}; fetch a new permit") from None
    return _permit(claims, name)


def _permit(claims: dict[str, object], key: str) -> Permit:
    times = [claims["exp"], claims["iat"]]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and isfinite(one) for one in times):
        raise PermitRefused(why="token_invalid", remedy="exp and iat must be numbers, in seconds since 1970")
    lives = float(str(claims["exp"])) - float(str(claims["iat"]))
    facts = {name: claims.get(name) for name in ("user_type", "wedding_id", "supplier_id", "supplier_type")}
    if not all(isinstance(value, str | None) for value in facts.values()) or facts["user_type"] not in set(
        UserType
    ):
        raise PermitRefused(
            why="token_invalid",
            remedy="user_type must be one of couple, planner, vendor, guest, and ids texts",
        )
    if lives > LONGEST.total_seconds():
        raise PermitRefused(
            why="token_invalid", remedy=f"it may be valid for {LONGEST.seconds // 60} minutes at most"
        )
    times_ = {"issued_at": float(str(claims["iat"])), "expires_at": float(str(claims["exp"]))}
    return Permit(str(claims["sub"]), **facts, key=key, **times_)  # type: ignore[arg-type]


def check_wedding(permit: Permit, wedding_id: str | None) -> None:
    """Raise PermitRefused when somebody asks for another wedding than the permit's."""
    if wedding_id is not None and wedding_id != permit.wedding_id:
        raise PermitRefused(
            why="wrong_wedding",
            remedy="ask for the wedding that the permit is for, or fetch a permit for this one",
        )
