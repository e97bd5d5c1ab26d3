"""Answering requests once a key: HTTP's Idempotency-Key."""

from collections.abc import Callable

from sqlalchemy import Connection

from workers.commands.rules.answers import Answer
from workers.commands.store import answers
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment


class KeyInUse(ExpectedError):
    """a request with Idempotency-Key {key!r} is being answered; ask again in a moment"""

    http_status = 409


class KeyReused(ExpectedError):
    """Idempotency-Key {key!r} was used for another request; use a new key for a new one"""

    http_status = 422


def once(
    db: Connection,
    caller: str,
    key: str,
    fingerprint: str,
    answer: Callable[[], Answer],
    *,
    now: MachineMoment,
) -> tuple[Answer, bool]:
    """Answer a caller's request once a key, in the transaction of its effect; tell whether it was before.

    Raises KeyInUse while another one answers it, KeyReused for another request under its key.
    """
    if not answers.hold(db, caller, key):
        raise KeyInUse(key=key)
    known = answers.find(db, caller, key, now=now)
    if known is None:
        made = answer()
        answers.keep(db, caller, key, made, now=now)
        return made, False
    if known.fingerprint != fingerprint:
        raise KeyReused(key=key)
    return known, True
