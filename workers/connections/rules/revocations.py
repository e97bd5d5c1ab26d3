"""Permits that are taken back before they expire. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Whose(StrEnum):
    """Which permits are taken back: a user's, all of a wedding, or all that a key signed."""

    USER = "user"
    WEDDING = "wedding"
    KEY = "key"


@dataclass(frozen=True)
class Revocation:
    """Permits that were issued before a moment are good no longer; it is kept until they would have expired.

    Moments in epoch seconds. Of a key all are meant, whenever they say that they were issued: who stole it
    writes any moment.
    """

    whose: Whose
    id: str
    before: float
    until: float


def is_revoked(
    user_id: str,
    wedding_id: str | None,
    key: str,
    issued_at: float,
    revoked: Iterable[Revocation],
    *,
    at: float,
) -> bool:
    """Tell whether a permit was taken back, as of a moment."""
    ids = {Whose.USER: user_id, Whose.WEDDING: wedding_id, Whose.KEY: key}
    return any(
        ids[one.whose] == one.id and (one.whose is Whose.KEY or issued_at <= one.before)
        for one in revoked
        if at <= one.until
    )
