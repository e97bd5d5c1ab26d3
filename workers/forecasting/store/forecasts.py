"""Forecasts, one row a region, calendar version and step: a repeated refresh changes nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    case,
    false,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on, insert

from workers.forecasting.rules.calibration import Score
from workers.forecasting.rules.forecast import Forecast
from workers.forecasting.rules.shares import QUANTILES, Shares
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once

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
    *(Column(name, ARRAY(Float), nullable=False) for name in QUANTILES),
    # Of weeks, by the hour: made to be evaluated. The others are what is decided by.
    Column("far", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("region", "calendar_version", "starts_at", "far", name="one_forecast_a_start"),
)
Index("newest_forecast", sets.c.region, sets.c.id.desc(), postgresql_where=~sets.c.far)

#: How forecasts did, `horizon_minutes` ahead, by day; the newest row of a region says how far it is trusted.
scores = Table(
    "forecast_scores",
    metadata,
    Column("region", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("horizon_minutes", Integer, primary_key=True),
    Column("pairs", Integer, nullable=False),
    Column("pinball", JSONB, nullable=False),
    Column("coverage", JSONB, nullable=False),
    Column("bias", Float, nullable=False),
    Column("wider", Float, nullable=False),
    Column("trust", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    info=expires("at"),
)

#: What past weddings taught; the region EVERY has what they taught together.
shares = Table(
    "forecast_shares",
    metadata,
    Column("region", Text, primary_key=True),
    Column("guests", ARRAY(Float, dimensions=2), nullable=False),
    Column("vendors", ARRAY(Float), nullable=False),
    Column("spread", Float, nullable=False),
    Column("common", Float, nullable=False),
    Column("base", ARRAY(Float), nullable=False),
    Column("z", ARRAY(Float), nullable=False),
    Column("learned_at", DateTime(timezone=True), nullable=False),
)
EVERY = "*"


def record(
    db: Connection, forecasts: Iterable[Forecast], *, version: int, at: Moment, far: bool = False
) -> int:
    """Remember forecasts of a calendar version, those of weeks as `far`; return how many were new."""
    rows = [
        {
            "region": one.region,
            "calendar_version": version,
            "made_at": at,
            "starts_at": one.starts_at,
            "step_seconds": int(one.step.total_seconds()),
            "ratio": one.ratio,
            "far": far,
            **{name: values.round(2).tolist() for name, values in one.quantiles.items()},
        }
        for one in forecasts
    ]
    return len(insert_once(db, sets, rows))


def latest(db: Connection, *, before: datetime | None = None) -> dict[str, Forecast]:
    """Return each region's newest forecast, or the newest that was made before a moment."""
    query = select(sets).where(~sets.c.far, *([] if before is None else [sets.c.made_at < before]))
    rows = db.execute(query.ext(distinct_on(sets.c.region)).order_by(sets.c.region, sets.c.id.desc()))
    return {
        row.region: Forecast(
            row.region,
            row.starts_at,
            timedelta(seconds=row.step_seconds),
            {name: np.asarray(getattr(row, name)) for name in QUANTILES},
            row.ratio,
        )
        for row in rows
    }


def peaks(db: Connection, start: datetime, end: datetime) -> dict[str, dict[str, float]]:
    """Return the highest of each quantile in [start, end] of the newest forecasts that reach that far."""

    def place(at: datetime) -> ColumnElement[int]:
        return (
            func.floor(func.extract("epoch", literal(at) - sets.c.starts_at) / sets.c.step_seconds).cast(
                Integer
            )
            + 1
        )

    # Only these steps: all of them are a quarter of a megabyte for fifty regions.
    first, last = func.greatest(place(start), 1), place(end)
    steps = [sets.c[name][first:last].label(name) for name in QUANTILES]
    query = select(sets.c.region, *steps).where(~sets.c.far).ext(distinct_on(sets.c.region))
    rows = db.execute(query.order_by(sets.c.region, sets.c.id.desc()))
    # A version before this one knew no p10.
    return {
        row.region: {name: max(own) for name in QUANTILES if (own := getattr(row, name))}
        for row in rows
        if row.p90
    }


def pairs(
    db: Connection, ahead: timedelta, *, since: datetime, until: datetime
) -> list[tuple[str, datetime, dict[str, float]]]:
    """Return what was forecast for moments in [since, until), `ahead` of them.

    Region, moment and quantiles, one a moment.
    """
    place = func.floor(literal(ahead.total_seconds()) / sets.c.step_seconds).cast(Integer) + 1
    at = sets.c.starts_at + ahead
    query = select(sets.c.region, at.label("at"), *(sets.c[name][place].label(name) for name in QUANTILES))
    query = query.where(~sets.c.far, at >= since, at < until).ext(distinct_on(sets.c.region, at))
    rows = db.execute(query.order_by(sets.c.region, at, sets.c.id.desc()))
    return [
        (row.region, row.at, {name: getattr(row, name) for name in QUANTILES})
        for row in rows
        if None not in row
    ]


def far_pairs(
    db: Connection, days: int, *, since: datetime, until: datetime
) -> list[tuple[str, datetime, dict[str, float]]]:
    """Return what far forecasts said of moments in [since, until), as `pairs` does.

    Those that were made from `days` to a day more before them.
    """
    rows = db.execute(_FAR, {"days": days, "since": since, "until": until})
    return [(row.region, row.at, {name: getattr(row, name) for name in QUANTILES}) for row in rows]


_FAR = text(
    """
    SELECT DISTINCT ON (region, at) region, at, p10, p50, p90, p99 FROM (
        SELECT f.region, f.id,
            f.starts_at + make_interval(days => :days, secs => (n - 1) * f.step_seconds) AS at,
            said.p10, said.p50, said.p90, said.p99
        FROM scaling_prediction_sets f,
            LATERAL (
                SELECT :days * 86400 / f.step_seconds + 1 AS first, 86400 / f.step_seconds AS many) AS day,
            LATERAL unnest(
                p10[first:first + many - 1], p50[first:first + many - 1],
                p90[first:first + many - 1], p99[first:first + many - 1]
            ) WITH ORDINALITY AS said (p10, p50, p90, p99, n)
        WHERE far AND starts_at >= cast(:since AS timestamptz) - make_interval(days => :days + 1)
            AND starts_at < cast(:until AS timestamptz) - make_interval(days => :days)) AS each
    WHERE at >= :since AND at < :until ORDER BY region, at, id DESC
    """
)


def far_since(db: Connection) -> Moment | None:
    """Return when the last far forecasts begin."""
    newest = select(sets.c.starts_at).where(sets.c.far).order_by(sets.c.id.desc()).limit(1)
    found: Moment | None = db.execute(newest).scalar_one_or_none()
    return found


def evaluate(db: Connection, evaluated: Iterable[tuple[str, int, Score]], *, at: Moment) -> None:
    """Remember how forecasts did.

    Each is (region, minutes ahead, score). A later score of a day replaces the earlier one.
    """
    for region, minutes, score in evaluated:
        row = {
            name: getattr(score, name) for name in ("pairs", "pinball", "coverage", "bias", "wider", "trust")
        }
        row |= {"region": region, "horizon_minutes": minutes, "day": at.date(), "at": at}
        row |= {"pinball": dict(score.pinball), "coverage": dict(score.coverage)}
        statement = insert(scores).values(row)
        db.execute(
            statement.on_conflict_do_update(index_elements=["region", "day", "horizon_minutes"], set_=row)
        )


def evaluated(db: Connection, *, since: datetime, until: datetime) -> dict[str, dict[int, Score]]:
    """Return each region's newest scores that were given in [since, until], by minutes ahead."""
    keys = scores.c.region, scores.c.horizon_minutes
    rows = db.execute(
        select(scores)
        .where(scores.c.at.between(since, until))
        .ext(distinct_on(*keys))
        .order_by(*keys, scores.c.day.desc())
    )
    found: dict[str, dict[int, Score]] = {}
    for row in rows:
        found.setdefault(row.region, {})[row.horizon_minutes] = _score(row)
    return found


def verdicts(db: Connection, region: str, minutes: int, *, since: datetime) -> list[tuple[datetime, Score]]:
    """Return a region's scores of so many minutes ahead since a moment, the oldest first.

    Each with the moment at which it was given.
    """
    ours = (scores.c.region == region) & (scores.c.horizon_minutes == minutes) & (scores.c.at >= since)
    return [(row.at, _score(row)) for row in db.execute(select(scores).where(ours).order_by(scores.c.at))]


def _score(row: Any) -> Score:
    return Score(row.pairs, row.pinball, row.coverage, row.bias, row.wider)


def record_parameters(db: Connection, learned: Mapping[str, Shares], *, at: Moment) -> None:
    """Remember the shares of regions, and of EVERY."""
    for region, one in learned.items():
        row = {name: getattr(one, name).tolist() for name in ("guests", "vendors", "base", "z")}
        row |= {"region": region, "spread": one.spread, "common": one.common, "learned_at": at}
        db.execute(insert(shares).values(row).on_conflict_do_update(index_elements=["region"], set_=row))


def parameters(db: Connection, *, before: datetime | None = None) -> dict[str, Shares]:
    """Return the shares that were learned (`before` a moment), by region."""
    found = {}
    for row in db.execute(
        select(shares) if before is None else select(shares).where(shares.c.learned_at < before)
    ):
        guests, vendors, base, z = (np.array(value) for value in (row.guests, row.vendors, row.base, row.z))
        found[row.region] = Shares(guests, vendors, row.spread, row.common, base, z)
    return found


def forget(db: Connection, *, before: datetime, far_before: datetime) -> int:
    """Forget forecasts made before a moment, far ones before another; return how many."""
    old = case((sets.c.far, far_before), else_=before)
    return db.execute(sets.delete().where(sets.c.made_at < old)).rowcount


def count(db: Connection) -> int:
    """Return how many forecasts there are."""
    return int(db.execute(select(func.count()).select_from(sets)).scalar_one())
