"""Sending what the outbox holds."""

from collections.abc import Callable, Iterable

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from workers.foundation import clock, database, logs
from workers.foundation.errors import ExpectedError, error_code, safe_message
from workers.outbox import store
from workers.outbox.rules import Dead, Entry, Message, Outcome, Result, Retry, backoff, is_given_up

log = logs.get("outbox")

Send = Callable[[Entry], Result]


class EntryUnknown(ExpectedError):
    """the outbox has no dead entry {entry_id}; `wedops dead-letters` lists those that it has"""

    http_status = 404


def deliver(kind: str, send: Send, retry: Retry, *, seconds: float, emergency: bool = False) -> None:
    """Send what is due, for some seconds at most; a recipient that fails is left for the next time.

    With `emergency` only what goes before all else.
    """
    begun, failing = clock.stopwatch(), set[str]()
    with database.transaction() as db:
        if late := store.expire(db, kind):
            log.warning("given up", kind=kind, count=late, reason="deadline")
    while clock.stopwatch() - begun < seconds:
        with database.transaction() as db:
            entry = store.claim(db, kind, retry, but=failing, emergency=emergency)
        if entry is None:
            return
        if retry.attempts is not None and entry.attempts > retry.attempts:
            _bury(entry)
        elif _send(entry, send, retry, kind).outcome is Outcome.FAILED:
            failing.add(entry.recipient)


def send_now(messages: Iterable[Message], send: Send, retry: Retry) -> dict[str, Result]:
    """Write messages and make their first attempts at once.

    Return what became of each that is new, by key.
    """
    messages = list(messages)
    with database.transaction() as db:
        store.write(db, messages, claimed=retry)
        entries = store.entries(db, [one.key for one in messages])
    kinds = {one.key: one.kind for one in messages}
    return {one.key: _send(one, send, retry, kinds[one.key]) for one in entries if one.claims == 1}


def _send(entry: Entry, send: Send, retry: Retry, kind: str) -> Result:
    """Make one attempt and remember what became of it.

    Between the two there is no transaction: a sender may take its time.
    """
    try:
        result = send(entry)
    except (SoftTimeLimitExceeded, database.DatabaseUnavailable):
        # The lease runs out, and it is tried again.
        raise
    except Exception as error:
        result = Result(Outcome.FAILED, safe_message(error) or error_code(error))
    with database.transaction() as db:
        _settle(db, entry, result, retry)
        if result.outcome is Outcome.FAILED and entry.recipient:
            store.defer(db, kind, entry, retry.after)
    if result.outcome is Outcome.FAILED:
        log.warning(
            "not sent",
            kind=kind,
            key=entry.key,
            attempts=entry.attempts,
            reason="failed",
            detail=result.problem,
        )
    return result


def _bury(entry: Entry) -> None:
    """Give up an entry whose senders died: it may be what kills them."""
    with database.transaction() as db:
        store.give_up(db, entry, "each of its senders died")


def _settle(db: Connection, entry: Entry, result: Result, retry: Retry) -> None:
    if result.outcome is Outcome.SENT:
        store.sent(db, [entry.key])
    elif result.outcome is Outcome.POSTPONED:
        store.again(db, entry, retry.after, counts=False)
    elif result.outcome is Outcome.FAILED and is_given_up(retry, entry.attempts):
        store.give_up(db, entry, result.problem)
    else:
        store.again(db, entry, backoff(retry, entry.attempts, entry.key), problem=result.problem)


def dead(limit: int) -> list[Dead]:
    """Return what was given up, the newest first."""
    with database.transaction() as db:
        return store.dead(db, limit=limit)


def replay(entry_id: int) -> None:
    """Have an entry that was given up be sent; raises EntryUnknown."""
    with database.transaction() as db:
        if not store.revive(db, entry_id):
            raise EntryUnknown(entry_id=entry_id)
