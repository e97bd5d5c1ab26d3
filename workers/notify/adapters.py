"""Sending through apprise: NOTIFY_TARGETS and the table of addresses hold its URLs, which are secrets."""

import logging
import re
from functools import cache, lru_cache
from threading import Thread
from typing import Any
from urllib.parse import quote

from workers.foundation import logs, settings
from workers.notify.rules import Policy

log = logs.get("notify")

#: Our severities in apprise's words; all others are `info`.
_TYPES = {"critical": "failure", "high": "warning", "medium": "warning"}
#: NOTIFY_TARGETS' channels are named by their place in it.
TARGET = "target-"


class TargetsInvalid(settings.SettingInvalid):
    """NOTIFY_TARGETS: target {number} is no address that apprise knows; see its list of services"""


class AddressInvalid(settings.SettingInvalid):
    """that is no address that apprise knows; see its list of services, for instance json://host/path or mailto://…"""


def policy() -> Policy:
    """Return NOTIFY_…"""
    return settings.read(Policy)


def targets() -> dict[str, str]:
    """Return NOTIFY_TARGETS by channel.

    Addresses with spaces between them, or commas, as apprise itself takes them.
    """
    parts = re.split(r"\s+|,(?=[A-Za-z][\w+.-]*://)", policy().targets)
    found = [part.strip(",") for part in parts if part.strip(",")]
    return {f"{TARGET}{number}": url for number, url in enumerate(found, start=1)}


def _to_log(body: str, title: str, notify_type: str, *_arguments: Any, **_options: Any) -> None:
    log.warning("notification", title=title, body=body, severity=str(notify_type), reason="notify_targets")


@cache
def _apprise() -> Any:
    # Imported when first used: it loads a module for each of its 140 services, a second in every process.
    import apprise  # noqa: PLC0415
    from apprise.decorators import notify  # noqa: PLC0415

    # It writes addresses that it does not know into its log.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    notify(on="log", name="the log")(_to_log)
    return apprise.Apprise


@lru_cache(maxsize=256)
def _sender(url: str) -> Any:
    sender = _apprise()()
    # Two in one would be one channel: when one of them fails, both would hear it again.
    if not sender.add(url) or len(sender) != 1:
        raise AddressInvalid
    return sender


def _with_key(url: str, key: str) -> str:
    if not url.startswith(("json://", "jsons://")):
        return url
    return f"{url}{'&' if '?' in url else '?'}+Idempotency-Key={quote(key, safe='')}"


def check(url: str) -> None:
    """Raise AddressInvalid for what apprise does not know."""
    _sender(url)


def check_targets() -> None:
    """Raise TargetsInvalid, naming which of NOTIFY_TARGETS apprise does not know."""
    for number, url in enumerate(targets().values(), start=1):
        try:
            check(url)
        except AddressInvalid:
            raise TargetsInvalid(number=number) from None


def send(url: str, title: str, body: str, severity: str, *, key: str) -> bool:
    """Tell one target; False when it did not take it in time. No circuit here: it would silence the pager.

    A process that dies between sending and noting sends again; a target of our own can tell by the header
    Idempotency-Key.
    """
    taken: list[bool] = []
    sender = _sender(_with_key(url, key))

    def _send() -> None:
        taken.append(bool(sender.notify(title=title, body=body, notify_type=_TYPES.get(severity, "info"))))

    # A service that drips its answer must not hold up the others: apprise's time-outs are by the read, not by
    # the message.
    thread = Thread(target=_send, daemon=True)
    thread.start()
    thread.join(policy().patience.total_seconds())
    return taken == [True]
