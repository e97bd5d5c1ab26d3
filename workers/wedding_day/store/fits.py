"""What was learned of past days."""

from io import BytesIO

import numpy as np
from sqlalchemy import Connection, select

from workers.foundation.moments import Moment
from workers.wedding_day.rules.fitting import Fits, prior
from workers.wedding_day.store.tables import fits


def current(db: Connection) -> Fits:
    """Return what was learned last; what is taken to be so as long as nothing was."""
    row = db.execute(select(fits).order_by(fits.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return prior()
    arrays = np.load(BytesIO(row.arrays), allow_pickle=False)
    groups = {(kind, venue): place for kind, venue, place in row.groups}
    return Fits(groups, arrays["delays"], arrays["shares"], row.missing, row.stretch, row.pace)


def add(db: Connection, found: Fits, *, days: int, at: Moment) -> None:
    """Keep what was learned of so many days."""
    file = BytesIO()
    np.savez(file, delays=found.delays, shares=found.shares)
    groups = [[*group, place] for group, place in found.groups.items()]
    facts = {"fitted_at": at, "days": days, "missing": found.missing}
    facts |= {"stretch": found.stretch, "pace": found.pace}
    db.execute(fits.insert().values(facts | {"groups": groups, "arrays": file.getvalue()}))
