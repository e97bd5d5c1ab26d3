"""Telling somebody by all the channels they have."""

from sqlalchemy import Connection

from workers.foundation import clock, database, logs, settings
from workers.foundation.moments import Moment
from workers.notify import adapters, store
from workers.notify.rules import OPERATIONS, Notification

log = logs.get("notify")


def reached(db: Connection, who: str, wedding_id: str = "") -> list[tuple[str, str, str]]:
    """Return the (who, wedding id, channel) that reach somebody; operations where nobody knows their address."""
    for person, wedding in ((who, wedding_id), (who, ""), (OPERATIONS, "")):
        if found := store.channels(db, person, wedding):
            return [(person, wedding, channel) for channel in found]
    return [(OPERATIONS, "", channel) for channel in adapters.targets()]


def tell(db: Connection, message: Notification, *, at: Moment, who: str = OPERATIONS, wedding_id: str = "") -> int:
    """Write a notification for each channel of somebody; return how many are new."""
    new = 0
    for person, wedding, channel in reached(db, who, wedding_id):
        own = Notification(f"{message.key}/{person}/{channel}", message.title, message.body, message.severity)
        new += store.write(db, own, who=person, channel=channel, wedding_id=wedding, at=at)
    return new


def send(db: Connection, waiting: store.Waiting) -> bool:
    """Send one; False when it did not arrive, also when its address is gone or wrong."""
    if store.was_taken(waiting.key):
        return True
    url = store.address(db, who=waiting.who, channel=waiting.channel, wedding_id=waiting.wedding_id)
    url = url or adapters.targets().get(waiting.channel)
    try:
        arrived = bool(url) and adapters.send(str(url), waiting.title, waiting.body, waiting.severity, key=waiting.key)
    except settings.SettingInvalid:
        return False
    if arrived:
        store.note_taken(waiting.key)
    return arrived


def deliver(enough: float) -> None:
    """Send what waits for some seconds at most; a channel that fails is left for the next time."""
    begun, failing = clock.stopwatch(), set[tuple[str, str]]()
    while clock.stopwatch() - begun < enough and _deliver_one(failing):
        pass


def _deliver_one(failing: set[tuple[str, str]]) -> bool:
    """Send the oldest whose turn it is, in a transaction of its own; False when there is none.

    Whoever does not take it is added to `failing` (who, channel) and left alone by who calls again with it.
    """
    policy = adapters.policy()
    with database.transaction() as db:
        waiting = store.claim(db, policy, at=clock.machine_now(), but=failing)
        if waiting is None:
            return False
        arrived = send(db, waiting)
        store.tried(db, waiting.key, arrived=arrived, at=clock.machine_now())
        if not arrived:
            store.give_up(db, waiting.key, policy, at=clock.machine_now())
    if not arrived:
        failing.add((waiting.who, waiting.channel))
        log.warning("notification failed", key=waiting.key, channel=waiting.channel, reason="target")
    return True
