"""Sending through apprise: NOTIFY_TARGETS holds its URLs, which are secrets; the default writes to the log."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from apprise import Apprise, NotifyType
from apprise.decorators import notify

from workers.foundation import logs, settings

log = logs.get("notify")

_TYPES = {"critical": NotifyType.FAILURE, "high": NotifyType.WARNING, "medium": NotifyType.WARNING}


@dataclass(frozen=True)
class Policy:
    """`targets` are apprise URLs with spaces between them: log://, json://host/path, mailto://, pagerduty:// …"""

    targets: str = "log://"


@notify(on="log", name="the log")  # type: ignore[untyped-decorator, unused-ignore]
def _to_log(body: str, title: str, notify_type: str, *_arguments: Any, **_options: Any) -> None:
    log.warning("notification", title=title, body=body, severity=str(notify_type), reason="notify_targets")


class TargetsInvalid(settings.SettingInvalid):
    """NOTIFY_TARGETS: target {number} is no address that apprise knows; see its list of services"""


@cache
def _apprise() -> Apprise:
    sender = Apprise()
    for number, target in enumerate(settings.read(Policy, "NOTIFY_").targets.split(), start=1):
        if not sender.add(target):
            raise TargetsInvalid(number=number)
    return sender


def send(title: str, body: str, severity: str) -> bool:
    """Tell every target; False when one of them did not take it."""
    kind = _TYPES.get(severity, NotifyType.INFO)
    return bool(_apprise().notify(title=title, body=body, notify_type=kind))
