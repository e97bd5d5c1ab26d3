"""Forecast: 90 days in steps of five minutes from 100,000 weddings, and from a tenth of them.

`forecast_s` is one forecast, `refresh_s` one of a region with 500 weddings in two days, as after a change;
`memory_mb` what it takes beside the calendar. `p10` … are the percent of what was seen that lay below each
quantile, in the two weeks after the four that the shares were learned from, of three imagined regions;
`untaught_…` the same with the shares that are assumed. Peer: `one_by_one`, which adds each wedding's phases
to every step they cover.
"""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from benchmarks import form
from workers.forecasting.rules import calibration, shares
from workers.forecasting.rules import forecast as rules
from workers.foundation import clock
from workers.foundation.moments import Moment
from workers.simulation.rules import imagined
from workers.weddings.rules.calendar import Phase, VenueType, Wedding
from workers.weddings.rules.calendar import Policy as Phases

START, DAYS = Moment(datetime(2026, 8, 1, tzinfo=UTC)), 90
LEARNED, TRIED = 28, 14
POLICY = replace(rules.Policy(), horizon=timedelta(days=DAYS))


def main() -> None:
    """Print the figures."""
    many, few = _calendar(100_000), _calendar(10_000)
    near = _calendar(500, days=2)
    form.main(
        "forecast",
        {"ours": lambda: _ours(many, few, near), "one_by_one": lambda: _one_by_one(few)},
        _ratios,
        runs=5,
    )


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    return {
        "growth_for_ten_times": medians["ours"]["forecast_s"] / medians["ours"]["tenth_s"],
        "one_by_one_over_ours": medians["one_by_one"]["tenth_s"] / medians["ours"]["tenth_s"],
    }


def _calendar(count: int, days: int = DAYS) -> list[Wedding]:
    random = np.random.default_rng(7)
    guests = np.minimum(random.lognormal(np.log(100), 0.55, count), 2_000).astype(int)
    venues = list(VenueType)
    found = []
    for number, minutes in enumerate(random.integers(0, days * 1440, count).tolist()):
        starts = START + timedelta(minutes=minutes)
        local = starts.replace(tzinfo=None)
        lasts = timedelta(hours=6)
        facts = {
            "zone": "UTC",
            "region": "us-west",
            "supplier_ids": ("s",) * 14,
            "guest_count": int(guests[number]),
        }
        edges = {
            "starts_local": local,
            "ends_local": local + lasts,
            "starts_at": starts,
            "ends_at": starts + lasts,
        }
        found.append(Wedding(id=f"w-{number}", venue_type=venues[number % len(venues)], **facts, **edges))  # type: ignore[arg-type]
    return found


def _timed(weddings: list[Wedding], policy: rules.Policy = POLICY) -> float:
    begun = clock.stopwatch()
    rules.forecast("us-west", weddings, policy, Phases(), starts_at=START)
    return clock.stopwatch() - begun


def _ours(many: list[Wedding], few: list[Wedding], near: list[Wedding]) -> form.Figures:
    seconds, tenth, refresh = _timed(many), _timed(few), _timed(near, rules.Policy())
    tracemalloc.start()
    _timed(many)
    memory = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {
        "forecast_s": seconds,
        "tenth_s": tenth,
        "refresh_s": refresh,
        "memory_mb": memory,
        **_coverage(next(_seeds)),
    }


_seeds = count(1)


def _coverage(seed: int) -> form.Figures:
    """Return the coverage of each quantile over three regions, learned and not."""
    found: dict[str, list[float]] = {}
    for number, (region, zone) in enumerate(imagined.REGIONS.items()):
        chance = np.random.default_rng([seed, number])
        days = [START.date() + timedelta(days=day) for day in range(LEARNED + TRIED + 1)]
        held = list(imagined.weddings(days, 60_000, chance, {region: zone}))
        true, minutes = imagined.truth(rules.Policy(), chance), (LEARNED + TRIED) * 1440
        load = imagined.load(held, START, minutes, true, Phases(), chance)
        # As in the rows: the highest of each five minutes, one in seven of them to learn from.
        load = load.reshape(-1, 5).max(axis=1)
        at = np.arange(3, LEARNED * 288, 7)
        past = rules.seen(
            held, np.asarray(START.timestamp() + at * 300.0), load[at], rules.Policy(), Phases(), zone=zone
        )
        _, own = shares.learn(rules.Policy().assumed, {region: past})
        seen = load[LEARNED * 288 :]
        policy, begins = (
            replace(rules.Policy(), horizon=timedelta(days=TRIED)),
            START + timedelta(days=LEARNED),
        )
        for prefix, known in (("", own[region]), ("untaught_", None)):
            made = rules.forecast(region, held, policy, Phases(), starts_at=begins, shares=known, zone=zone)
            for name, share in calibration.score(made.quantiles, seen).coverage.items():
                found.setdefault(prefix + name, []).append(100 * share)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _one_by_one(weddings: list[Wedding]) -> form.Figures:
    begun = clock.stopwatch()
    phases, steps = Phases(), int(POLICY.horizon / POLICY.step)
    load = np.zeros(steps)
    for one in weddings:
        ceremony = min(one.starts_at + phases.ceremony_lasts, one.ends_at)
        edges = (
            one.starts_at - phases.setup_before,
            one.starts_at,
            ceremony,
            one.ends_at,
            one.ends_at + phases.wind_down_lasts,
        )
        for number, phase in enumerate((Phase.SETUP, Phase.CEREMONY, Phase.RECEPTION, Phase.WIND_DOWN)):
            first, last = (max(0, int((edge - START) / POLICY.step)) for edge in edges[number : number + 2])
            load[first:last] += rules.participants(one, phase, POLICY)
    return {"tenth_s": clock.stopwatch() - begun}


if __name__ == "__main__":
    main()
