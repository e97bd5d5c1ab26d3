"""A notification as the outbox keeps it."""

from typing import Any

from workers.notify.rules import BODY, TITLE, Notification, Target, safe
from workers.outbox.rules import Lane, Message

#: What the outbox calls them.
KIND = "notification"
_LANES = {"critical": Lane.EMERGENCY, "high": Lane.URGENT}


def message(notification: Notification, to: Target) -> Message:
    """Return what the outbox keeps of a notification to a target.

    Nothing secret, and no longer than all channels take.
    """
    body = {
        "title": safe(notification.title, TITLE),
        # No target takes a message without one.
        "body": safe(notification.body or notification.title, BODY),
        "severity": notification.severity,
        "about": notification.about or to.wedding_id,
    }
    lane = _LANES.get(notification.severity, Lane.NORMAL)
    return Message(notification.key, KIND, body | vars(to), str(to), body["about"], lane)


def read(key: str, body: dict[str, Any]) -> tuple[Notification, Target]:
    """Return the notification and its target from what the outbox kept, of version 1."""
    to = Target(body["recipient"], body["wedding_id"], body["channel"])
    return Notification(key, body["title"], body["body"], body["severity"], body.get("about", "")), to
