"""Who keeps showing bad credentials waits for each answer, longer each time; nobody else does.

Who has a good one is never held up, wherever they come from: all guests of a venue share one address.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_address

from workers.foundation import clock

#: After so many failures, none FORGET seconds ago, each answer is held: FIRST seconds, then twice as long.
FREE, FIRST, LONGEST, FORGET = 5, 0.25, 4.0, 60.0
#: So many answers are held for an address at once; who comes beyond is sent away. So many addresses are
#: remembered.
HELD_AT_ONCE, REMEMBERED = 8, 20_000


def _line(address: str) -> str:
    """Return what somebody has one of: a network of 64 bits of IPv6 (RFC 6177), of IPv4 an address."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))


@dataclass
class _Record:
    failures: int = 0
    last: float = 0.0
    held: int = 0


@dataclass
class Penalties:
    """What each address showed of late."""

    _records: OrderedDict[str, _Record] = field(default_factory=OrderedDict)

    def failed(self, address: str) -> float | None:
        """Count a bad credential; return for how many seconds to hold the answer.

        None: so many are held already that this one is sent away. Who is held for a time is to be `released`.
        """
        line = _line(address)
        record = self._records.setdefault(line, _Record())
        self._records.move_to_end(line)
        if clock.stopwatch() - record.last > FORGET:
            record.failures = 0
        record.failures, record.last = record.failures + 1, clock.stopwatch()
        while len(self._records) > REMEMBERED:
            self._records.popitem(last=False)
        if record.failures <= FREE:
            return 0.0
        if record.held >= HELD_AT_ONCE:
            return None
        record.held += 1
        return float(min(LONGEST, FIRST * 2 ** min(record.failures - FREE - 1, 8)))

    def released(self, address: str) -> None:
        """Note that an answer is held no longer."""
        if record := self._records.get(_line(address)):
            record.held = max(0, record.held - 1)

    async def hold(self, address: str) -> bool:
        """Count a bad credential and wait before it is answered; False for who is to be sent away."""
        if (seconds := self.failed(address)) is None:
            return False
        if seconds:
            try:
                await asyncio.sleep(seconds)
            finally:
                self.released(address)
        return True
