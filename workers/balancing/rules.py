"""Where each wedding's people go. Pure.

A wedding's first node is the highest of its weighted rendezvous ranking (Thaler and Ravishankar 1998; weights after
Schindelhauer and Schomaker 2005) that has room under a bound on every node's load (Mirrokni, Thorup and Zadimoghaddam 2018):
so people of one wedding are together, no node has more than its share and a bit, and a node that goes moves its own people
only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from math import inf, log

#: From this share of its processor on, a node counts for less; at the whole of it for a tenth.
BUSY, FLOOR = 0.7, 0.1


@dataclass(frozen=True)
class Policy:
    """`bound` is how much more than its fair share a node may get, and below `comfort` of its capacity none is too full.

    `silent_after` without a report a node is out.
    `joins_per_second` paces those who lost their node; `lead` is how long before its setup a wedding is placed.
    """

    bound: float = 1.1
    comfort: float = 0.3
    silent_after: timedelta = timedelta(seconds=5)
    joins_per_second: int = 200
    lead: timedelta = timedelta(hours=4)

    def __post_init__(self) -> None:
        """Refuse bounds that nothing fits under."""
        if not 1.02 <= self.bound <= 10:
            raise ValueError("bound must be from 1.02 to 10")
        if not 0 <= self.comfort <= 1:
            raise ValueError("comfort must be from 0 to 1")
        if self.joins_per_second < 1 or self.silent_after < timedelta(seconds=1):
            raise ValueError("joins_per_second must be 1 or more, and silent_after 1s or more")


@dataclass(frozen=True)
class Node:
    """A realtime server as it reported itself: shares from 0 to 1, and for how long it has been silent since."""

    name: str
    region: str
    url: str
    capacity: int
    connections: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    network: float = 0.0
    draining: bool = False
    silent: timedelta = timedelta(0)

    @property
    def weight(self) -> float:
        """Return how much it should get: its capacity, less when its processor or memory is nearly used up."""
        strain = max(0.0, (max(self.cpu, self.memory) - BUSY) / (1 - BUSY))
        return self.capacity * max(FLOOR, 1 - strain)

    def out(self, policy: Policy) -> bool:
        """Tell whether it is gone."""
        return self.silent >= policy.silent_after


@dataclass(frozen=True)
class Party:
    """A wedding's people: how many are expected, and the region they should be served in."""

    wedding_id: str
    size: int
    region: str


#: The nodes a wedding's people go to, best first, with how many each is expected to get.
Places = dict[str, list[tuple[str, int]]]


def rank(wedding_id: str, nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes by the wedding's preference, which no other wedding or node has a part in."""
    return sorted(nodes, key=lambda node: (-_pull(wedding_id, node), node.name))


def _pull(wedding_id: str, node: Node) -> float:
    digest = blake2b(f"{wedding_id} {node.name}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest) + 0.5) / 2**64
    return node.weight / -log(share) if node.weight > 0 else -inf


def place(parties: Sequence[Party], nodes: Sequence[Node], policy: Policy, *, kept: Mapping[str, Sequence[str]]) -> Places:
    """Return the nodes of every party. Who has a place in `kept` that still stands stays; the largest choose first.

    A party's region serves it; when the region has no node left, all others do. A party larger than any room is spread over
    its next nodes.
    """
    usable = [node for node in nodes if not node.out(policy) and not node.draining and node.weight > 0]
    found: Places = {}
    for region in sorted({party.region for party in parties}):
        here = [node for node in usable if node.region == region] or usable
        mine = [party for party in parties if party.region == region]
        found |= _place_in(mine, here, policy, kept) if here else {party.wedding_id: [] for party in mine}
    return found


def _place_in(parties: list[Party], nodes: list[Node], policy: Policy, kept: Mapping[str, Sequence[str]]) -> Places:
    total, weights = sum(party.size for party in parties), sum(node.weight for node in nodes)
    room = {node.name: max(policy.bound * total / weights, policy.comfort) * node.weight for node in nodes}
    had = {party: [name for name in kept.get(party.wedding_id, ()) if name in room] for party in parties}
    # Who stays takes its room first, and of those who is on one node alone.
    order = sorted(parties, key=lambda party: (not had[party], len(had[party]), -party.size, party.wedding_id))
    found: Places = {}
    for party in order:
        names = had[party] or [node.name for node in rank(party.wedding_id, nodes)]
        found[party.wedding_id] = _fill(party.size, names, room, stays=bool(had[party]))
    return found


def _fill(size: int, names: list[str], room: dict[str, float], *, stays: bool) -> list[tuple[str, int]]:
    """Take room for a party on its first node that has enough; else on as many as it takes, the roomiest first."""
    whole = names[0] if len(names) == 1 else None if stays else next((name for name in names if room[name] >= size), None)
    parts: list[tuple[str, int]] = []
    left = size
    for name in [whole] if whole else names if stays else sorted(names, key=lambda name: -room[name]):
        part = left if name == whole else min(left, max(0, int(room[name])))
        if part:
            parts.append((name, part))
            room[name] -= part
            left -= part
    if left:
        parts = [(parts[0][0], parts[0][1] + left), *parts[1:]] if parts else [(names[0], left)]
    return parts
