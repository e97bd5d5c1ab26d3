"""Forecasts, one row a region, calendar version and step: a repeated refresh changes nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from workers.forecasting.rules import Forecast, Z
from workers.foundation.database import insert_once, metadata

sets = Table(
    "scaling_prediction_sets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("region", Text, nullable=False),
    Column("calendar_version", BigInteger, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("step_seconds", Integer, nullable=False),
    Column("ratio", Float, nullable=False),
    *(Column(name, ARRAY(Float), nullable=False) for name in Z),
    UniqueConstraint("region", "calendar_version", "starts_at"),
)
Index("newest_forecast", sets.c.region, sets.c.id.desc())


def record(db: Connection, forecasts: Iterable[Forecast], *, version: int, at: datetime) -> int:
    """Remember forecasts of a calendar version; return how many were new."""
    rows = [
        {
            "region": one.region,
            "calendar_version": version,
            "made_at": at,
            "starts_at": one.starts_at,
            "step_seconds": int(one.step.total_seconds()),
            "ratio": one.ratio,
            **{name: values.round(2).tolist() for name, values in one.quantiles.items()},
        }
        for one in forecasts
    ]
    return len(insert_once(db, sets, rows))


def latest(db: Connection) -> dict[str, Forecast]:
    """Return each region's newest forecast."""
    rows = db.execute(select(sets).ext(distinct_on(sets.c.region)).order_by(sets.c.region, sets.c.id.desc()))
    return {
        row.region: Forecast(
            row.region,
            row.starts_at,
            timedelta(seconds=row.step_seconds),
            {name: np.asarray(getattr(row, name)) for name in Z},
            row.ratio,
        )
        for row in rows
    }


def forget(db: Connection, *, before: datetime) -> int:
    """Forget forecasts made before a moment; return how many."""
    return db.execute(sets.delete().where(sets.c.made_at < before)).rowcount


def count(db: Connection) -> int:
    """Return how many forecasts there are."""
    return int(db.execute(select(func.count()).select_from(sets)).scalar_one())
