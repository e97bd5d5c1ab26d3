"""Our own lane, measured by its rows."""

import random
from time import sleep

import numpy as np
from sqlalchemy import event, text

from benchmarks import form
from benchmarks.urgent import scene
from benchmarks.urgent.scene import People, Scene
from workers.delivery.store import lane
from workers.foundation import clock, database

AUDIENCE = {"planner": False, "couple": False}
#: When the commit of each message began, by the clock of all.
COMMITTED: dict[str, float] = {}
_LAST = """
    SELECT m.identifier, extract(epoch FROM max(r.delivered_at))::float, count(*) - count(r.delivered_at)
    FROM messages m JOIN message_recipients r ON r.message_id = m.id
    WHERE m.identifier LIKE :prefix GROUP BY m.id ORDER BY m.id
"""


def send(number: int, prefix: str) -> None:
    """Send a message to all suppliers."""
    from workers.delivery.usecases import sending

    fields = {
        "wedding_id": scene.WEDDING,
        "headline": f"the ceremony moves, {number}",
        "audience": AUDIENCE,
        "request_key": f"{prefix}-{number}",
    }
    at = list[float]()
    listen = database.engine(), "commit", lambda _connection: at.append(clock.epoch())
    event.listen(*listen)
    try:
        sending.send(fields, sender="bench", now=clock.now(), machine=clock.machine_now())
    finally:
        event.remove(*listen)
    COMMITTED[f"{prefix}-{number}"] = at[-1]


def waits(prefix: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the ms from each message's commit to the last receipt; NaN where one is missing."""
    found = rows(_LAST, prefix)
    waits = [
        float("nan") if missing else 1000 * (float(str(last)) - COMMITTED[str(identifier)])
        for identifier, last, missing in found
    ]
    return np.array(waits)


def rows(query: str, prefix: str) -> list[tuple[object, ...]]:
    with database.transaction() as db:
        return [tuple(row) for row in db.execute(text(query), {"prefix": f"{prefix}-%"})]


def measured(stage: Scene, count: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Send so many at random moments, with bulk beside them; return the waits."""
    with scene.bulk(lambda: stage.broadcast(*scene.PHOTO)):
        scene.at_random_moments(count, lambda number: send(number, "ours"))
    form.wait_for(lambda: not np.isnan(waits("ours")).any(), within=60)
    for number in range(count):
        acknowledge(f"ours-{number}")
    return waits("ours")


def acknowledge(identifier: str) -> None:
    """Acknowledge a message for all, as their applications would in a while."""
    rows = [(scene.WEDDING, identifier, f"supplier:s{one}", "acknowledged") for one in range(scene.SUPPLIERS)]
    lane.receipts(rows)


def cuts(stage: Scene, suppliers: People, count: int) -> form.Figures:
    """Cut a tenth of the sockets in the middle of a message; measure receipts after each came back."""
    with scene.bulk(lambda: stage.broadcast(*scene.PHOTO)):
        for number in range(count):
            suppliers.say(f"cut {scene.SUPPLIERS // 10}")
            sleep(random.uniform(0, 0.02))
            send(number, "cut")
            sleep(0.4)
            acknowledge(f"cut-{number}")
    form.wait_for(lambda: not np.isnan(waits("cut")).any(), within=60)
    return {"receipt_after_cut_p99_ms": round(float(np.nanquantile(waits("cut"), 0.99)), 1),
            "lost_at_cuts": int(np.isnan(waits("cut")).sum())}  # fmt: skip


def unnamed(prefix: str) -> int:
    """Return how many recipients of messages have no state that is final for them."""
    query = (
        "SELECT count(*) FROM messages m JOIN message_recipients r ON r.message_id = m.id "
        "WHERE m.identifier LIKE :prefix AND r.state IN ('pending', 'sent')"
    )
    [[count]] = rows(query, prefix)
    return int(str(count))
