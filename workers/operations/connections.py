"""How the regions' connections are: what is open, how fast, how much, and who is heaviest."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from workers.connections.rules.report import HeavyUser
from workers.connections.usecases import upkeep
from workers.foundation import database
from workers.foundation.moments import Moment
from workers.snapshots import store
from workers.snapshots.rules import Snapshot

#: A region whose last snapshot is older is not shown.
SHOWN_FOR = timedelta(days=1)
#: What is counted between two snapshots, and shown as so many a second.
RATES = ("opened", "messages", "errors", "bytes", "delivered", "batches", "failed_batches")


@dataclass(frozen=True)
class Traffic:
    """Regions by name, each with figures of its last snapshot, and the users with the most messages now."""

    regions: list[dict[str, Any]]
    heaviest: list[HeavyUser]


def traffic(*, now: Moment) -> Traffic:
    """Return how the connections of every region are. None is `not measured`."""
    with database.transaction() as db:
        rows = store.latest(db, since=now - SHOWN_FOR)
        spans = store.spans(db, rows)
    regions = [_region(row, spans.get(row.region, timedelta(0))) for row in rows]
    return Traffic(regions, upkeep.heaviest(now=now))


def _region(row: Snapshot, span: timedelta) -> dict[str, Any]:
    seconds = span.total_seconds()
    rates = {f"{name}_per_second": getattr(row, name) / seconds if seconds else None for name in RATES}
    # What a subscription gets is how often it is updated.
    updated = row.delivered / seconds / row.subscriptions if seconds and row.subscriptions else None
    names = "region", "connections", "subscriptions", "channels_each", "reuse_rate", "error_rate"
    times = "connect_p95_ms", "delivery_p50_ms", "delivery_p95_ms", "p50_ms", "p95_ms"
    shown = {name: getattr(row, name) for name in (*names, *times)}
    return {**shown, **rates, "updates_each_per_second": updated, "at": row.at.isoformat(timespec="seconds")}
