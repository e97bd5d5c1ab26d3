"""The weather ahead of weddings, as it was forecast last."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from workers.foundation.moments import Moment
from workers.wedding_day.rules.weather import Outlook
from workers.wedding_day.store.tables import outlooks


@dataclass(frozen=True)
class Known:
    """An outlook, for a wedding that starts at `starts_at` at the place `geo`, forecast at `at`."""

    wedding_id: str
    starts_at: Moment
    geo: str
    at: Moment
    outlook: Outlook


def of(db: Connection, ids: Collection[str]) -> dict[str, Known]:
    """Return what is known of weddings."""
    query = select(outlooks).where(outlooks.c.wedding_id == any_(literal(list(ids), ARRAY(Text))))
    return {
        row.wedding_id: Known(row.wedding_id, row.starts_at, row.geo, row.at, Outlook(row.risk, row.because))
        for row in db.execute(query)
    }


def write(db: Connection, known: Iterable[Known]) -> None:
    """Remember outlooks instead of those before."""
    rows = [
        {
            "wedding_id": one.wedding_id,
            "starts_at": one.starts_at,
            "geo": one.geo,
            "at": one.at,
            "risk": one.outlook.risk,
            "because": list(one.outlook.because),
        }
        for one in known
    ]
    if rows:
        statement = insert(outlooks).values(rows)
        new = {name: statement.excluded[name] for name in ("starts_at", "geo", "at", "risk", "because")}
        db.execute(statement.on_conflict_do_update(index_elements=["wedding_id"], set_=new))
