"""A season's calendar, made from the figures of the trade: months, weekdays, hours, guests. The same seed, the same season.

python -m demo.season > season.csv       or, with --take, straight into the database
"""

import csv
import io
import random
import sys
from datetime import date, datetime, timedelta

from workers.foundation import logs
from workers.seasons.rules import US_MONTHS
from workers.weddings import actions, client
from workers.weddings.rules import VenueType

FIRST, LAST = date(2026, 4, 1), date(2028, 1, 1)
REGIONS = {"us-northeast": "America/New_York", "us-south": "America/Chicago", "us-west": "America/Los_Angeles"}
A_YEAR = 480
#: Percent by weekday, Monday first; ceremony hours with their percent; both from surveys of US weddings.
WEEKDAYS = (1.5, 1.5, 2.0, 5.0, 15.0, 62.0, 13.0)
HOURS = {11: 5, 13: 9, 14: 9, 15: 17, 16: 29, 17: 21, 18: 8, 19: 2}
VENUES = (VenueType.BANQUET_HALL, VenueType.OUTDOOR, VenueType.CHURCH, VenueType.GARDEN, VenueType.HISTORIC, VenueType.BEACH)


def season(seed: int = 7) -> str:
    """Return the calendar as CSV."""
    chance, text = random.Random(seed), io.StringIO()
    rows = csv.writer(text)
    rows.writerow(client.COLUMNS)
    for offset in range((LAST - FIRST).days):
        day = FIRST + timedelta(days=offset)
        month_days = 30.4
        expected = A_YEAR * US_MONTHS[day.month - 1] / 100 * WEEKDAYS[day.weekday()] / 100 * 7 / month_days
        for number in range(_poisson(chance, expected)):
            rows.writerow(_row(chance, day, number))
    return text.getvalue()


def _row(chance: random.Random, day: date, number: int) -> list[object]:
    region = chance.choice(list(REGIONS))
    hour = chance.choices(list(HOURS), weights=list(HOURS.values()))[0]
    start = datetime(day.year, day.month, day.day, hour, chance.choice((0, 30)))  # noqa: DTZ001 - local wall time is meant
    end = start + timedelta(hours=chance.choice((5, 5.5, 6)))
    # Guests: lognormal, median 100, sigma 0.55; vendors: 14 on average.
    guests = min(600, max(10, round(chance.lognormvariate(4.605, 0.55))))
    vendors = [f"s{chance.randrange(400)}" for _ in range(max(3, round(chance.gauss(14, 3))))]
    id, zone = f"w-{day:%Y%m%d}-{number:02}", REGIONS[region]
    times = start.isoformat(timespec="minutes"), end.isoformat(timespec="minutes")
    return [id, *times, zone, guests, chance.choice(VENUES), region, "confirmed", ";".join(dict.fromkeys(vendors)), ""]


def _poisson(chance: random.Random, mean: float) -> int:
    # Knuth's method; the mean is small.
    count, product, limit = 0, chance.random(), pow(2.718281828459045, -mean)
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


if __name__ == "__main__":
    if "--take" in sys.argv:
        logs.configure(30)
        print(actions.take(client.read_csv(season())).version)
    else:
        print(season(), end="")
