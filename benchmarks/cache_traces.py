"""Hit ratios of eviction policies on traces, and on a Saturday of our own.

    python -m benchmarks.cache_traces --data FOLDER [--json]

Each file FOLDER/*.i32 is a trace: big-endian signed 32-bit integers, the keys in the order in which they were
asked for. Each is run at 500 entries and at 10 % of its keys. Peers: LRU of cachetools, and ARC (Megiddo and
Modha, FAST 2003). `calendar` is a Saturday made from the trade's figures (`saturday`), as a process sees it
that serves all weddings.
"""

import sys
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from benchmarks import form
from workers.caching.rules.eviction import Eviction

ENTRIES = 500
#: Of a process's Saturday: weddings on the day, weddings to come that people look at meanwhile, and which
#: share of all reads that is.
TODAY, AHEAD, PLANNING = 1_000, 4_000, 0.3
#: Guests of a wedding and the spread of their logarithm, its vendors, hours that it lasts.
GUESTS, SIGMA, VENDORS, LASTS = 100, 0.55, 14, 6.0
#: Which share of the guests has the app open; how often each person's phone comes back (mean), how many hours
#: after the start, and with which chance.
CONNECTED, BACK = 0.25, 3
RETURNS = {0.1: 0.2, 1.0: 0.3, 3.5: 0.35, 5.5: 0.15}
#: Shares of ceremonies that begin in each hour of the day.
STARTS = {11: 5, 12: 4.5, 13: 4.5, 14: 9, 15: 17, 16: 29, 17: 21, 18: 8, 19: 2}


def ours(keys: Sequence[int], capacity: int) -> float:
    """Return the hit ratio of our policy."""
    held, hits, eviction = set[int](), 0, Eviction(capacity)
    for key in keys:
        if key in held:
            hits += 1
            if not eviction.touch(key):
                eviction.miss(key)
        else:
            held.add(key)
            held.discard(eviction.add(key))
    return hits / len(keys)


def lru(keys: Sequence[int], capacity: int) -> float:
    """Return the hit ratio of cachetools' LRU."""
    cache, hits = LRUCache[int, bool](capacity), 0
    for key in keys:
        if key in cache:
            hits += cache[key]
        else:
            cache[key] = True
    return hits / len(keys)


class _Arc:
    """ARC, as its authors have it: two lists, their ghosts, and a target for the first."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.target = capacity, 0.0
        self.recent, self.frequent = OrderedDict[int, None](), OrderedDict[int, None]()
        self.recent_ghosts, self.frequent_ghosts = OrderedDict[int, None](), OrderedDict[int, None]()

    def ask(self, key: int) -> bool:
        if key in self.recent or key in self.frequent:
            self.recent.pop(key, None)
            self.frequent[key] = None
            self.frequent.move_to_end(key)
            return True
        ghosts, others = self.recent_ghosts, self.frequent_ghosts
        if key in ghosts:
            self.target = min(self.capacity, self.target + max(1, len(others) // len(ghosts)))
        elif key in others:
            self.target = max(0, self.target - max(1, len(ghosts) // len(others)))
        else:
            self._make_room()
            self.recent[key] = None
            return False
        self._replace(again=key in others)
        ghosts.pop(key, None)
        others.pop(key, None)
        self.frequent[key] = None
        return False

    def _replace(self, *, again: bool = False) -> None:
        first = len(self.recent) > self.target or (again and len(self.recent) == self.target)
        if self.recent and (first or not self.frequent):
            self.recent_ghosts[self.recent.popitem(last=False)[0]] = None
        elif self.frequent:
            self.frequent_ghosts[self.frequent.popitem(last=False)[0]] = None

    def _make_room(self) -> None:
        known = len(self.recent) + len(self.recent_ghosts)
        every = known + len(self.frequent) + len(self.frequent_ghosts)
        if known == self.capacity:
            if len(self.recent) < self.capacity:
                self.recent_ghosts.popitem(last=False)
                self._replace()
            else:
                self.recent.popitem(last=False)
        elif every >= self.capacity:
            if every == 2 * self.capacity:
                self.frequent_ghosts.popitem(last=False)
            self._replace()


def arc(keys: Sequence[int], capacity: int) -> float:
    """Return the hit ratio of ARC."""
    cache = _Arc(capacity)
    return sum(cache.ask(key) for key in keys) / len(keys)


def saturday(seed: int = 7) -> list[int]:
    """Return what a process that serves all weddings is asked for on a Saturday.

    A wedding has an entry of its own, one for each of three roles and two for each vendor; who joins asks for
    the wedding's and their role's, a vendor for both of theirs. Each comes once, in set-up or before the
    ceremony, and comes back in the minutes after it, the reception, the dinner and the dance began.
    """
    chance = np.random.default_rng(seed)
    hours, shares = np.array(list(STARTS)), np.array(list(STARTS.values()))
    starts = chance.choice(hours, TODAY, p=shares / shares.sum()) + chance.random(TODAY)
    guests = np.maximum(10, chance.lognormal(np.log(GUESTS), SIGMA, TODAY)).astype(int)
    events = list[tuple[float, int]]()
    for wedding, start in enumerate(starts):
        events += _joins(chance, wedding * (4 + 2 * VENDORS), int(guests[wedding] * CONNECTED), float(start))
    planning = int(len(events) * PLANNING / (1 - PLANNING))
    looks = zip(chance.uniform(6, 24, planning), chance.integers(0, AHEAD, planning), strict=True)
    events += [(float(at), 10**7 + int(key)) for at, key in looks]
    events.sort()
    return [key for _, key in events]


POLICIES = {"ours": ours, "lru": lru, "arc": arc}


def _joins(chance: np.random.Generator, base: int, guests: int, start: float) -> Iterator[tuple[float, int]]:
    """Yield (hour, key) of a wedding's joins; its keys begin at `base`."""
    for person in range(guests + VENDORS + 3):
        vendor = person < VENDORS
        own = [base, base + 1 + min(2, person % 3)]
        if vendor:
            own = [base, base + 4 + 2 * person, base + 5 + 2 * person]
        came = start - (4 if vendor else 0.5) * chance.random()
        later = chance.choice(list(RETURNS), chance.poisson(BACK), p=list(RETURNS.values()))
        for at in (came, *(start + later + 0.25 * chance.random(len(later)))):
            yield from ((float(at), key) for key in own)


def _rows(data: Path) -> dict[str, dict[str, float]]:
    found = {}
    for path in sorted(data.glob("*.i32")):
        keys = np.fromfile(path, ">i4").tolist()
        for label, capacity in (("500", ENTRIES), ("10%", max(1, len(set(keys)) // 10))):
            print(f"cache_traces: {path.stem} at {label}", file=sys.stderr)
            found[f"{path.stem} {label}"] = {
                name: policy(keys, capacity) for name, policy in POLICIES.items()
            }
    keys = saturday()
    found["calendar 500"] = {name: policy(keys, ENTRIES) for name, policy in POLICIES.items()}
    return found


def main() -> None:
    """Print the hit ratios in percent, and by how many points ours is ahead."""
    parser = form.parser(1)
    parser.add_argument("--data", type=Path, required=True, help="the folder of traces")
    options: Namespace = parser.parse_args()
    rows = _rows(options.data)
    percent = {name: {one: round(100 * value, 2) for one, value in row.items()} for name, row in rows.items()}
    ratios = {f"{name} ours - lru": round(row["ours"] - row["lru"], 2) for name, row in percent.items()}
    ratios |= {f"{name} ours - arc": round(row["ours"] - row["arc"], 2) for name, row in percent.items()}
    report = {
        "schema": "wedops.bench/1",
        "name": "cache_traces",
        "runs": 1,
        "figures": {name: row["ours"] for name, row in percent.items()},
        "peers": {peer: {name: row[peer] for name, row in percent.items()} for peer in ("lru", "arc")},
        "ratios": ratios,
    }
    form.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
