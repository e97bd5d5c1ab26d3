"""How soon a step in one of 10,000 series is seen, at one false page a day over all of them.

    python -m benchmarks.detection_delay [--series 10000] [--incidents 1000] [--days 3] [--ar 0.6] [--seed 1]
    [--json]

Series of 10 s are imagined: AR(1) noise (coefficient uniform in 0 … `ar`) about a day's cycle of up to ±5
standard deviations and a half-day's, lone outliers, single gaps and gaps up to an hour, deploys (announced)
that move the level. After 1.2 days to learn from come `days` without an incident, for the false pages, then
six hours with `incidents` of each kind, each in a series of its own, for half an hour. A delay counts sweeps,
that of the step as the first; `missed` is the percent not seen within 30 (the series in a gap or fresh from a
deploy are among them), and null a delay beyond them.

`3_sigma` is a step of three standard deviations of the noise (marginal: of what is left of a series without
its day), also by the noise's AR coefficient; `3_sigma_long_run` of three of its long-run standard deviations.
Those are the same for noise without memory, and by √((1+a)/(1-a)) more for noise that remembers: there three
marginal ones are less than they seem, to any detector.

Peers: `ideal_cusum` knows every level, spread and coefficient, and is set to one false page a day as well;
`three_sigma` knows level and spread, and alerts on every value beyond three. `outage_s` is what a service of
one request a second that fails altogether takes until at least three and half of the last minute's requests
are bad.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks import form
from workers.foundation import clock
from workers.measurements.rules.steps import STATE_BYTES, Array, Steps, Tuning

DAY, WARM_UP, INCIDENTS, LASTS, SOON = 8640, 10_368, 2160, 180, 30
KINDS = {"1.5_sigma": 1.5, "2_sigma": 2.0, "3_sigma": 3.0, "5_sigma": 5.0, "3_sigma_long_run": 3.0}
BANDS = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.6))
#: Nats at which the ideal CUSUM pages falsely once a day in 10,000 series.
IDEAL_PAGE = np.float32(18.3)


def main() -> None:
    """Print the figures."""
    options = form.parser(runs=1)
    options.add_argument("--series", type=int, default=10_000)
    options.add_argument("--incidents", type=int, default=1_000)
    options.add_argument("--days", type=int, default=3)
    options.add_argument("--ar", type=float, default=0.6)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    run = Run(
        given.series, min(given.incidents, given.series // len(KINDS)), given.days, given.ar, given.seed
    )
    figures = {
        "us_per_point": run.play(),
        "state_bytes": float(STATE_BYTES),
        **outage(np.random.default_rng(given.seed)),
    }
    found = {name: run.figures(name) for name in run.firsts}
    ours = {**figures, **found.pop("ours")}
    report = {
        "schema": "wedops.bench/1",
        "name": "detection_delay",
        "runs": given.runs,
        "figures": ours,
        "peers": found,
    }
    form.show(report | {"ratios": {}, "details": vars(given)}, as_json=given.json)


class World:
    """Imagined series; `rest` is what is left of them without day, deploys and units.

    What an ideal detector sees.
    """

    def __init__(self, count: int, max_ar: float, seed: int) -> None:
        # Half of all the time goes into normal numbers: this one makes them fastest.
        self.chance = np.random.Generator(np.random.SFC64(seed))
        chance, self.count, self.sweep = self.chance, count, 0
        self.ar = chance.uniform(0, max_ar, count).astype(np.float32)
        self.fresh: Array = np.sqrt(1 - self.ar**2)
        self.noise: Array = chance.standard_normal(count, dtype=np.float32)
        self.rest = self.noise
        size, phases = chance.uniform(0, 5, count), chance.uniform(0, 2 * np.pi, (2, count))
        waves = np.stack([size, size * chance.uniform(0, 0.3, count)])
        self.waves = np.concatenate([waves * np.sin(phases), waves * np.cos(phases)]).astype(np.float32)
        self.base = chance.uniform(5, 100, count).astype(np.float32)
        self.unit = np.exp(chance.standard_normal(count, dtype=np.float32))
        self.dark_until = np.zeros(count, int)

    def step(self, shift: Array | None) -> tuple[Array, NDArray[np.intp]]:
        """Return the next sweep's values, and the series whose deploy was announced."""
        self.noise = self.noise * self.ar + self.fresh * self.chance.standard_normal(
            self.count, dtype=np.float32
        )
        self.rest = self.noise.copy()
        wild = self._some(1 / 1000)
        self.rest[wild] += self.chance.uniform(4, 12, len(wild)) * self.chance.choice([-1, 1], len(wild))
        if shift is not None:
            self.rest += shift
        deployed = self._some(0.5 / DAY)
        self.base[deployed] += self.chance.normal(0, 3, len(deployed))
        angles = 2 * np.pi * self.sweep / DAY * np.array([1, 2])
        day = np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32) @ self.waves
        values: Array = (self.rest + day + self.base) * self.unit
        values[self._some(1 / 500)] = np.nan
        dark = self._some(0.5 / DAY)
        self.dark_until[dark] = self.sweep + self.chance.integers(6, 360, len(dark))
        values[self.dark_until > self.sweep] = np.nan
        self.sweep += 1
        return values, deployed

    def _some(self, share: float) -> NDArray[np.intp]:
        return self.chance.integers(0, self.count, self.chance.poisson(self.count * share))


class Ideal:
    """A two-sided CUSUM that was told what ours has to learn, with ours' clip."""

    def __init__(self, world: World, tuning: Tuning) -> None:
        self.world, self.clip = world, np.float32(tuning.clip)
        self.shift = np.float32(tuning.step) * np.sqrt((1 - world.ar) / (1 + world.ar))
        self.last, self.up, self.down = np.zeros((3, world.count), np.float32)

    def step(self, there: NDArray[np.bool_]) -> Array:
        """Return the sweep's sums over the threshold, signed."""
        rest, half = self.world.rest, self.shift / 2
        surprise = np.clip((rest - self.world.ar * self.last) / self.world.fresh, -self.clip, self.clip)
        weight = self.shift * there
        self.up = np.maximum(self.up + weight * (surprise - half), np.float32(0))
        self.down = np.maximum(self.down - weight * (surprise + half), np.float32(0))
        self.last = np.clip(rest, -self.clip, self.clip)
        scores: Array = np.copysign(np.maximum(self.up, self.down), self.up - self.down) / IDEAL_PAGE
        said = np.abs(scores) >= 1
        self.up[said] = self.down[said] = 0
        return scores


@dataclass
class Run:
    """One run of ours and its peers over the same series."""

    series: int
    incidents: int
    days: int
    ar: float
    seed: int
    false: dict[str, int] = field(default_factory=dict)
    firsts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    again: int = 0

    def play(self) -> float:
        """Play all sweeps, and return what ours took, in µs a point."""
        self.world, tuning = World(self.series, self.ar, self.seed), Tuning()
        self._imagine_incidents()
        ours, ideal, spent = Steps(self.series, tuning), Ideal(self.world, tuning), 0.0
        for sweep, shift in enumerate(self._shifts()):
            values, deployed = self.world.step(shift)
            begun = clock.stopwatch()
            scores = ours.step(10.0 * sweep, values, deployed)
            spent += clock.stopwatch() - begun
            there = np.isfinite(values)
            beyond = self.world.rest * there / np.float32(3)
            said: dict[str, Array] = {"ours": scores, "ideal_cusum": ideal.step(there), "three_sigma": beyond}
            if sweep >= WARM_UP:
                self._count(sweep, said)
        return spent / (sweep + 1) / self.series * 1e6

    def _imagine_incidents(self) -> None:
        chance, total = np.random.default_rng([self.seed, 1]), self.incidents * len(KINDS)
        self.begin = WARM_UP + self.days * DAY
        self.starts = np.full(self.series, 1 << 40)
        self.starts[:total] = self.begin + chance.integers(0, INCIDENTS, total)
        self.size = np.zeros(self.series, np.float32)
        self.size[:total] = np.repeat(list(KINDS.values()), self.incidents) * chance.choice([-1, 1], total)
        last = slice(total - self.incidents, total)
        self.size[last] *= np.sqrt((1 + self.world.ar[last]) / (1 - self.world.ar[last]))

    def _shifts(self) -> Iterator[Array | None]:
        yield from (None for _ in range(self.begin))
        for sweep in range(self.begin, self.begin + INCIDENTS + 2 * LASTS):
            print(f"incidents, sweep {sweep}", file=sys.stderr) if sweep % 500 == 0 else None
            yield self.size * ((sweep >= self.starts) & (sweep < self.starts + LASTS))

    def _count(self, sweep: int, said: dict[str, Array]) -> None:
        for name, scores in said.items():
            spoke = np.abs(scores) >= 1
            if sweep < self.begin:
                self.false[name] = self.false.get(name, 0) + int(spoke.sum())
                continue
            firsts = self.firsts.setdefault(name, np.full(self.series, np.inf))
            after = sweep - self.starts
            seen = spoke & (after >= 0) & (scores * self.size > 0)
            if name == "ours":
                self.again += int((spoke & (after >= 0) & np.isfinite(firsts)).sum())
            firsts[seen & (after < SOON) & np.isinf(firsts)] = (
                after[seen & (after < SOON) & np.isinf(firsts)] + 1
            )

    def figures(self, name: str) -> dict[str, object]:
        """Return what one contestant did."""
        found: dict[str, object] = {"false_pages_a_day": round(self.false[name] / self.days, 2)}
        for number, kind in enumerate(KINDS):
            rows = np.arange(number * self.incidents, (number + 1) * self.incidents)
            found[kind] = _delays(self.firsts[name][rows])
            if kind == "3_sigma":
                found["3_sigma_by_ar"] = {
                    f"{low}-{high}": self._within(name, rows, low, high) for low, high in BANDS
                }
        if name == "ours":
            found["said_again_percent"] = round(100 * self.again / (self.incidents * len(KINDS)), 2)
        return found

    def _within(self, name: str, rows: NDArray[np.intp], low: float, high: float) -> dict[str, float | None]:
        return _delays(self.firsts[name][rows[(self.world.ar[rows] >= low) & (self.world.ar[rows] < high)]])


def _delays(firsts: NDArray[np.float64]) -> dict[str, float | None]:
    """Return median and 95th percentile over all incidents; null is more than 30 sweeps."""
    found = (
        np.quantile(firsts, [0.5, 0.95], method="inverted_cdf").tolist() if len(firsts) else [np.inf, np.inf]
    )
    median, p95 = (None if np.isinf(one) else one for one in found)
    return {"median": median, "p95": p95, "missed": round(100 * float(np.isinf(firsts).mean()), 1)}


def is_out(bad: NDArray[np.int_], all_: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Return whether three or more, and half, of the last minute's requests were bad.

    Counts are by sweep, along the last axis.
    """
    minute, total = bad[..., -6:].sum(axis=-1), all_[..., -6:].sum(axis=-1)
    out: NDArray[np.bool_] = (minute >= 3) & (2 * minute >= total)
    return out


def outage(chance: np.random.Generator, services: int = 10_000, rate: float = 1.0) -> dict[str, float]:
    """Return after how many seconds total outages are seen."""
    into, sweeps = chance.uniform(0, 10, services), 20
    # One request in a thousand is bad even when all is well; the outage begins somewhere in the tenth sweep.
    whole = np.clip(np.arange(sweeps) * 10 + 10 - (90 + into[:, None]), 0, 10)
    failed, fine = chance.poisson(rate * whole), chance.poisson(rate * (10 - whole))
    bad = failed + chance.binomial(fine, 0.001)
    seen = np.stack(
        [is_out(bad[:, : sweep + 1], (failed + fine)[:, : sweep + 1]) for sweep in range(9, sweeps)], axis=1
    )
    seconds = np.where(seen.any(axis=1), (seen.argmax(axis=1) + 1) * 10 - into, np.inf)
    median, p95, longest = np.quantile(seconds, [0.5, 0.95, 1.0])
    return {
        "outage_s": round(float(median), 1),
        "outage_p95_s": round(float(p95), 1),
        "outage_max_s": round(float(longest), 1),
    }


if __name__ == "__main__":
    main()
