"""Messages prove their sender: an HMAC over what a message says, by a key of who sent it.

The header `signature` is {"caller", "at", "mac"}. What is signed are lines: `v1`, caller, at, the headers
task, id, expires, eta and job (empty where there is none), and the body as it stands in the message. So any
language signs what it has just written, and nothing has to be brought into a canonical form.
"""

import hmac
import os
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

import orjson

from workers.foundation import clock, settings
from workers.foundation.errors import ExpectedError

#: As whom our own processes sign: they may send every task.
OWN = "wedops"
#: A message that was signed longer ago is refused: what it did may be forgotten, and would be done again.
VALID_FOR, AHEAD = timedelta(days=1), timedelta(minutes=5)
_SHORTEST = 32


@dataclass(frozen=True)
class Policy:
    """Who may send messages.

    `keys` are `caller:secret`, commas between; a caller has two while they rotate, the newest first. Ours are
    those of `wedops`. With `signed` = required no message is taken that is not signed; by default one without
    a signature is, and one with a wrong signature is not.
    """

    prefix: ClassVar = "COMMANDS_"

    keys: str = ""
    signed: str = "optional"

    def __post_init__(self) -> None:
        """Refuse keys that are none."""
        if self.signed not in ("optional", "required"):
            raise ValueError("signed must be optional or required")
        found = _read(self.keys)
        if any(len(secret) < _SHORTEST for own in found.values() for secret in own) or "" in found:
            raise ValueError(
                f"keys must be caller:secret, commas between them, a secret of {_SHORTEST} characters or more"
            )
        if self.signed == "required" and OWN not in found:
            raise ValueError(
                f"signed is required, and keys have none of {OWN}: our own messages would be refused"
            )


@lru_cache(maxsize=8)
def _read(keys: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for pair in filter(None, (one.strip() for one in keys.split(","))):
        caller, _, secret = pair.partition(":")
        found.setdefault(caller, []).append(secret.encode())
    return found


def policy() -> Policy:
    """Return COMMANDS_…: asked for each message, so read once for each value."""
    settings.refresh()
    return _policy(os.environ.get("COMMANDS_KEYS"), os.environ.get("COMMANDS_SIGNED"))


@lru_cache(maxsize=8)
def _policy(*_given: str | None) -> Policy:
    return settings.read(Policy)


@lru_cache(maxsize=32)
def _keyed(secret: bytes) -> hmac.HMAC:
    # Copied for each message: half of an HMAC's time is its key's.
    return hmac.new(secret, digestmod="sha256")


def _mac(secret: bytes, said: bytes) -> str:
    made = _keyed(secret).copy()
    made.update(said)
    return made.hexdigest()


def _said(message: Mapping[str, Any], caller: str, at: str) -> bytes:
    headers = message.get("headers") or {}
    job = orjson.dumps(headers["job"], option=orjson.OPT_SORT_KEYS).decode() if headers.get("job") else ""
    facts = (str(headers.get(name) or "") for name in ("task", "id", "expires", "eta"))
    return "\n".join(("v1", caller, at, *facts, job, message["body"])).encode()


def sign(message: dict[str, Any], keys: str, *, caller: str = OWN) -> None:
    """Sign a message by a caller's newest key, if there is one."""
    if own := _read(keys).get(caller):
        at = clock.machine_now().isoformat(timespec="seconds")
        mac = _mac(own[0], _said(message, caller, at))
        message.setdefault("headers", {})["signature"] = {"caller": caller, "at": at, "mac": mac}


def problem(message: Mapping[str, Any], rules: Policy) -> str | None:
    """Return why a message does not prove its sender; None when it does, or need not."""
    signature = (message.get("headers") or {}).get("signature")
    if signature is None:
        return "it is not signed; sign it with its caller's key" if rules.signed == "required" else None
    if not isinstance((message.get("headers") or {}).get("task"), str):
        # Of protocol 1 the options stand in the body: what was checked here would not be what is done.
        return "headers.task must name the task: sign a message of Celery's protocol 2"
    if not isinstance(signature, dict) or not all(
        isinstance(signature.get(name), str) for name in ("caller", "at", "mac")
    ):
        return "headers.signature must be an object with caller, at and mac, all texts"
    said = _said(message, signature["caller"], signature["at"])
    mac = signature["mac"].encode()
    for key in _read(rules.keys).get(signature["caller"], ()):
        if hmac.compare_digest(_mac(key, said).encode(), mac):
            break
    else:
        return "its signature is of no key in COMMANDS_KEYS; sign what is sent, with the caller's key"
    return _age_problem(signature["at"])


def _age_problem(at: str) -> str | None:
    try:
        age = clock.epoch() - datetime.fromisoformat(at).astimezone(UTC).timestamp()
    except (TypeError, ValueError):
        return "headers.signature.at must be a moment in ISO 8601 with its zone"
    if not -AHEAD.total_seconds() <= age <= VALID_FOR.total_seconds():
        return f"it was signed at {at}: more than {VALID_FOR.days} day ago, or in the future; sign it anew"
    return None


class NotOffered(ExpectedError):
    """{task} is no task for {caller!r}; services send what docs/reference/messages.json offers"""

    keeps_message = True


_offered: Container[str] = ()


def offer(tasks: Container[str]) -> None:
    """Say which tasks others than ourselves may send, by name."""
    global _offered  # noqa: PLW0603 - one contract a process
    _offered = tasks


def is_foreign() -> bool:
    """Tell whether somebody else than ourselves signed the message that is worked on."""
    return sender() not in ("", OWN)


def check_offered(task: str) -> None:
    """Raise NotOffered for a task that the sender of the message may not send."""
    if is_foreign() and task not in _offered:
        raise NotOffered(task=task, caller=sender())


_sender: ContextVar[str] = ContextVar("sender", default="")


def sender() -> str:
    """Return who signed the message that is worked on; empty where nobody did."""
    return _sender.get()


@contextmanager
def sent_by(signature: Any) -> Iterator[None]:
    """Work on a message whose signature was checked when it came."""
    before = _sender.set(str(signature["caller"]) if signature else "")
    try:
        yield
    finally:
        _sender.reset(before)
