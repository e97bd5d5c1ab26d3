"""Sending through apprise: NOTIFY_TARGETS holds its URLs, which are secrets; the default writes to the log."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from workers.foundation import logs, settings

log = logs.get("notify")

#: Our severities in apprise's words; all others are `info`.
_TYPES = {"critical": "failure", "high": "warning", "medium": "warning"}


@dataclass(frozen=True)
class Policy:
    """`targets` are apprise URLs with spaces between them: log://, json://host/path, mailto://, pagerduty:// …"""

    targets: str = "log://"

    def __post_init__(self) -> None:
        """Refuse to tell nobody."""
        if not self.targets.strip():
            raise ValueError("name at least one target; log:// writes to the log")


class TargetsInvalid(settings.SettingInvalid):
    """NOTIFY_TARGETS: target {number} is no address that apprise knows; see its list of services"""


def _to_log(body: str, title: str, notify_type: str, *_arguments: Any, **_options: Any) -> None:
    log.warning("notification", title=title, body=body, severity=str(notify_type), reason="notify_targets")


@cache
def _apprise() -> Any:
    # Imported when first used: it loads a module for each of its 140 services, a second in every process.
    from apprise import Apprise  # noqa: PLC0415
    from apprise.decorators import notify  # noqa: PLC0415

    notify(on="log", name="the log")(_to_log)
    sender = Apprise()
    for number, target in enumerate(settings.read(Policy, "NOTIFY_").targets.split(), start=1):
        if not sender.add(target):
            raise TargetsInvalid(number=number)
    return sender


def send(title: str, body: str, severity: str) -> bool:
    """Tell every target; False when one of them did not take it. No circuit here: it would silence the pager."""
    return bool(_apprise().notify(title=title, body=body, notify_type=_TYPES.get(severity, "info")))
