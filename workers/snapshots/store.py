"""Snapshots in PostgreSQL: one partition a day, written by COPY, dropped whole."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Index,
    Table,
    Text,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on

from workers.foundation import database, partitions
from workers.foundation.rows import copy
from workers.snapshots.rules import Snapshot

TABLE = "connection_metrics"
_COLUMNS = tuple(Snapshot.__dataclass_fields__)
_KINDS: dict[Any, Any] = {
    int: lambda name: Column(name, BigInteger, nullable=False),
    float: lambda name: Column(name, Float, nullable=False),
    float | None: lambda name: Column(name, Float),
}

snapshots = Table(
    TABLE,
    database.metadata,
    Column("region", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    *(_KINDS[one.type](one.name) for one in fields(Snapshot) if one.type in _KINDS),
    Column("by_user_type", JSONB, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("latest_by_region", snapshots.c.region, snapshots.c.at)


def append(db: Connection, rows: Iterable[Snapshot]) -> None:
    """Append snapshots; their days get a partition when they lack one."""
    rows = list(rows)
    partitions.make(db, TABLE, sorted({row.at.date() for row in rows}))
    plain = ([*list(vars(row).values())[:-1], orjson.dumps(dict(row.by_user_type)).decode()] for row in rows)
    copy(db, TABLE, _COLUMNS, plain)


def latest(db: Connection, *, since: datetime) -> list[Snapshot]:
    """Return each region's last snapshot, if it is not older than `since`."""
    rows = db.execute(
        select(snapshots)
        .ext(distinct_on(snapshots.c.region))
        .where(snapshots.c.at >= since)
        .order_by(snapshots.c.region, snapshots.c.at.desc())
    )
    return [Snapshot(**dict(row._mapping)) for row in rows]


def history(db: Connection, start: datetime, end: datetime) -> list[tuple[str, datetime, int]]:
    """Return (region, at, connections) in [start, end)."""
    rows = db.execute(
        select(snapshots.c.region, snapshots.c.at, snapshots.c.connections)
        .where(snapshots.c.at >= start, snapshots.c.at < end)
        .order_by(snapshots.c.at)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def round_trips(db: Connection, region: str, start: datetime, end: datetime) -> list[tuple[datetime, float]]:
    """Return (at, 95th percentile in ms) of a region's round trips in [start, end)."""
    query = select(snapshots.c.at, snapshots.c.p95_ms).where(
        snapshots.c.region == region, snapshots.c.p95_ms.is_not(None)
    )
    rows = db.execute(query.where(snapshots.c.at >= start, snapshots.c.at < end).order_by(snapshots.c.at))
    return [(row[0], row[1]) for row in rows]


def by_minute(
    db: Connection, start: datetime, end: datetime, *, region: str | None = None
) -> dict[str, dict[int, int]]:
    """Return, by region, the most connections that were seen in each minute (since 1970) of [start, end)."""
    minute = cast(func.floor(func.extract("epoch", snapshots.c.at) / 60), BigInteger)
    query = [
        snapshots.c.at >= start,
        snapshots.c.at < end,
        *([snapshots.c.region == region] if region else []),
    ]
    rows = db.execute(
        select(snapshots.c.region, minute, func.max(snapshots.c.connections))
        .where(*query)
        .group_by(snapshots.c.region, minute)
    )
    found: dict[str, dict[int, int]] = {}
    for name, at, connections in rows:
        found.setdefault(name, {})[at] = connections
    return found


def highest(db: Connection, start: datetime, end: datetime) -> dict[str, float]:
    """Return the most connections that each region had in [start, end)."""
    query = select(snapshots.c.region, func.max(snapshots.c.connections))
    rows = db.execute(query.where(snapshots.c.at >= start, snapshots.c.at < end).group_by(snapshots.c.region))
    return {region: float(highest) for region, highest in rows}
