"""What a gateway observes of its regions beside single connections.

How long things take, and what became of batches.
"""

import asyncio
from collections import Counter

from demo import door
from workers.connections.store import registry

#: Observations of one call are at most so many.
PAGE = 500
#: In seconds: what took longer is no measurement.
LONGEST = 3600.0


class Traffic:
    """Observations since the last report, by region, what it was and whole milliseconds.

    Milliseconds are None for what takes no time.
    """

    def __init__(self, node: str) -> None:
        """Begin with nothing seen."""
        self.node = node
        self._seen = Counter[tuple[str, str, int | None]]()

    def took(self, region: str, what: str, seconds: float) -> None:
        """Observe how long something took."""
        self._seen[region, what, round(min(max(0.0, seconds), LONGEST) * 1000)] += 1

    def happened(self, region: str, what: str) -> None:
        """Observe that something happened."""
        self._seen[region, what, None] += 1

    def drain(self) -> dict[str, list[tuple[str, int | None, int]]]:
        """Return what was seen since the last time, by region."""
        seen, self._seen = self._seen, Counter()
        found: dict[str, list[tuple[str, int | None, int]]] = {}
        for (region, what, ms), count in seen.items():
            found.setdefault(region, []).append((what, ms, count))
        return found

    async def report(self) -> None:
        """Tell the registry each second, until cancelled.

        What it can't be told is lost: these are statistics.
        """
        while True:
            await asyncio.sleep(1)
            for region, seen in self.drain().items():
                for first in range(0, len(seen), PAGE):
                    page = seen[first : first + PAGE]
                    await door.inform(registry.observe, self.node, region, page)
