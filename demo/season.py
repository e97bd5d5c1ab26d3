"""A season's calendar for the demo, made from the figures of the trade. The same seed, the same season.

python -m demo.season > season.csv       or, with --take, straight into the database
"""

import csv
import io
import sys
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import orjson

from workers.foundation import clock, logs
from workers.simulation.rules import days as imagined_days
from workers.simulation.rules import imagined
from workers.weddings.formats import csv as csv_calendar
from workers.weddings.formats import timeline
from workers.weddings.formats.rows import COLUMNS
from workers.weddings.usecases import importing as usecases

FIRST, LAST = date(2026, 4, 1), date(2028, 1, 1)
A_YEAR = 200
#: Where the demo's regions have their weddings, for the weather: New York, Houston, Los Angeles.
PLACES = {"us-northeast": (40.71, -74.01), "us-south": (29.76, -95.37), "us-west": (34.05, -118.24)}
TYPES = ("photographer", "venue", "florist", "caterer", "band", "planner")


def season(seed: int = 7) -> str:
    """Return the calendar as CSV."""
    days = [FIRST + timedelta(days=offset) for offset in range((LAST - FIRST).days)]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for one in imagined.weddings(days, A_YEAR, np.random.default_rng(seed)):
        times = (local.isoformat(timespec="minutes") for local in (one.starts_local, one.ends_local))
        suppliers = ";".join(f"{_type(supplier)}:{supplier}" for supplier in one.supplier_ids)
        typed = replace(one, duties={id: {"type": _type(id)} for id in one.supplier_ids})
        moments = orjson.dumps(timeline.document(imagined_days.timeline(typed))).decode()
        where = f"{PLACES[one.region][0]};{PLACES[one.region][1]}"
        facts = one.guest_count, one.venue_type, one.region, one.status, suppliers, moments, where
        rows.writerow([one.id, *times, one.zone, *facts])
    return text.getvalue()


def _type(supplier: str) -> str:
    """Return what a supplier is, the same at each wedding."""
    return TYPES[int(supplier.removeprefix("s")) % len(TYPES)]


if __name__ == "__main__":
    if "--take" in sys.argv:
        logs.configure(30)
        print(usecases.take(csv_calendar.read(season().encode()), now=clock.now()).version)
    else:
        print(season(), end="")
