"""What was fitted of each region, once and with a version.

All processes go on from it, so that all decide the same.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from io import BytesIO

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    LargeBinary,
    Table,
    Text,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from workers.forecasting.rules.peak_forecast import Fitted
from workers.foundation.database import expires, metadata
from workers.foundation.moments import Moment

fits = Table(
    "forecast_fits",
    metadata,
    Column("region", Text, primary_key=True),
    # Another one with each fit: what a process remembers of a version never changes.
    Column("version", Text, nullable=False),
    Column("minute", BigInteger, nullable=False),
    # What it was fitted with, besides measurements: the revision of the region's weddings, and the version
    # of the calendar up to which that is known to be the same.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("calendar_version", BigInteger, nullable=False),
    Column("settings", Text, nullable=False),
    Column("fitted_at", DateTime(timezone=True), nullable=False),
    Column("arrays", LargeBinary, nullable=False),
    info=expires("fitted_at"),
)


@dataclass(frozen=True)
class Fit:
    """Which fit a region has: up to which minute, of which weddings, with which settings."""

    region: str
    version: str
    minute: int
    revision: int
    calendar_version: int
    settings: str


_FACTS = [fits.c[name] for name in Fit.__dataclass_fields__]


def known(db: Connection) -> dict[str, Fit]:
    """Return which fit each region has."""
    return {row.region: Fit(**row._mapping) for row in db.execute(select(*_FACTS))}


def read(db: Connection, versions: Collection[str]) -> dict[str, Fitted]:
    """Return what was fitted, by version; what another version of ours wrote in another form is left out."""
    if not versions:
        return {}
    rows = db.execute(select(fits.c.version, fits.c.arrays).where(fits.c.version.in_(versions)))
    return {row.version: fitted for row in rows if (fitted := _fitted(row.arrays))}


def keep(db: Connection, made: Fit, fitted: Fitted, *, at: Moment) -> None:
    """Remember what was fitted of a region, instead of what was."""
    row = vars(made) | {"fitted_at": at, "arrays": _arrays(fitted)}
    db.execute(insert(fits).values(row).on_conflict_do_update(index_elements=["region"], set_=row))


def confirm(db: Connection, regions: Collection[str], calendar_version: int) -> None:
    """Remember that a version of the calendar changed nothing of some regions."""
    if regions:
        ours = fits.c.region.in_(regions) & (fits.c.calendar_version < calendar_version)
        db.execute(update(fits).where(ours).values(calendar_version=calendar_version))


def forget(db: Connection, region: str) -> None:
    """Forget what was fitted of a region."""
    db.execute(delete(fits).where(fits.c.region == region))


#: Of what is stored; a change of `Fitted` is another one.
FORM = 1


def _arrays(fitted: Fitted) -> bytes:
    """Return it as NumPy's own format, in which a number is the same to the last bit."""
    into = BytesIO()
    arrays = {one.name: np.asarray(getattr(fitted, one.name)) for one in fields(Fitted)}
    np.savez(into, form=FORM, **arrays)  # type: ignore[arg-type]
    return into.getvalue()


def _fitted(stored: bytes) -> Fitted | None:
    with np.load(BytesIO(stored), allow_pickle=False) as found:
        if found["form"].item() != FORM:
            return None
        # A number of one place is an int or float again.
        arrays = {name: found[name] for name in found.files if name != "form"}
    return Fitted(**{name: one if one.ndim else one.item() for name, one in arrays.items()})
