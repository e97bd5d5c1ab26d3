"""How wedding days went on: rows of `critical_path_metrics`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, select

from workers.foundation.moments import Moment
from workers.foundation.rows import copy, plain
from workers.wedding_day.store.tables import metrics

_COLUMNS = [one.name for one in metrics.c if one.name != "id"]


@dataclass(frozen=True)
class Metric:
    """How a day was going at a moment.

    Of the moments that were `due` so many were `reported`, so many started `in_time`; of its `suppliers` so
    many had `arrived`. `bottleneck` is the moment that holds up others most, empty where none does. `moments`
    has of each to come its p50 and p90 in epoch seconds, and how likely it is late.

    Its `guests` have so many connections (None: not known). Of the recipients that urgent messages `asked` so
    many have acknowledged, half of these within so many seconds.
    """

    wedding_id: str
    at: Moment
    due: int
    reported: int
    in_time: int
    suppliers: int
    arrived: int
    bottleneck: str
    moments: dict[str, tuple[float, float, float]]
    guests: int
    guest_connections: int | None
    asked: int
    acknowledged: int
    acknowledged_within: float | None


def append(db: Connection, rows: Iterable[Metric]) -> None:
    """Write down how days go on."""
    values = (
        [Jsonb(row.moments) if name == "moments" else getattr(row, name) for name in _COLUMNS] for row in rows
    )
    copy(db, "critical_path_metrics", _COLUMNS, values)


def of_wedding(db: Connection, wedding_id: str, *, limit: int) -> list[dict[str, Any]]:
    """Return how a day went on, the newest first."""
    query = (
        select(metrics).where(metrics.c.wedding_id == wedding_id).order_by(metrics.c.at.desc()).limit(limit)
    )
    return plain(db.execute(query))
