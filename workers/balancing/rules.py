"""Where each wedding's people go. Pure.

A wedding's first node is the highest of its weighted rendezvous ranking (Thaler and Ravishankar 1998; weights
after Schindelhauer and Schomaker 2005) that has room under a bound on every node's load (Mirrokni, Thorup and
Zadimoghaddam 2018): so people of one wedding are together, no node has more than its share and a bit, and a
node that goes moves its own people only.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from ipaddress import ip_network
from itertools import filterfalse
from math import inf, log
from typing import ClassVar, TypeVar

#: From this share of its processor on, a node counts for less; at the whole of it for a tenth.
BUSY, FLOOR = 0.7, 0.1
#: Without a report for so long a node is out; balancing/functions.lua routes by the same figure. One that is
#: scraped says nothing by itself: it is out when several scrapes brought nothing.
SILENT_AFTER, UNSCRAPED_AFTER = timedelta(seconds=5), timedelta(minutes=3)


@dataclass(frozen=True)
class Route:
    """Where a person should connect, and how long to wait before."""

    node: str
    url: str
    wait_ms: int
    backup: str = ""
    backup_url: str = ""


@dataclass(frozen=True)
class Policy:
    """`bound` limits a node to so much more than its fair share; below `comfort` none is too full.

    `joins_per_second` paces those who lost their node; `lead` is how long before its setup a wedding is
    placed. `near` says which regions are nearest to one, for the day it is lost: `us-east>us-central>us-west,
    eu-west>eu-central`. `probe` makes a real connection to each node, at a public address or one in
    `node_networks`: what nodes say of themselves may name anything.
    """

    prefix: ClassVar = "BALANCING_"

    bound: float = 1.1
    comfort: float = 0.3
    joins_per_second: int = 200
    lead: timedelta = timedelta(hours=4)
    near: str = ""
    probe: bool = True
    node_networks: str = "127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7"

    def __post_init__(self) -> None:
        """Refuse bounds that nothing fits under."""
        if not 1.02 <= self.bound <= 10:
            raise ValueError("bound must be from 1.02 to 10")
        if not 0 <= self.comfort <= 1:
            raise ValueError("comfort must be from 0 to 1")
        if self.joins_per_second < 1:
            raise ValueError("joins_per_second must be 1 or more")
        try:
            [ip_network(one) for one in self.node_networks.split()]
        except ValueError as error:
            raise ValueError(
                f"node_networks must be networks such as 10.0.0.0/8, with spaces ({error})"
            ) from None
        chains = re.fullmatch(r"(\s*[\w.@-]+(\s*>\s*[\w.@-]+)+\s*(,|$))*", self.near, re.ASCII)
        if not chains or self.near.count(">") != sum(len(others) for others in self.nearest.values()):
            raise ValueError(
                "near must be regions, nearest first, such as us-east>us-central>us-west, eu-west>eu-central"
            )

    def _check_networks(self) -> None:
        try:
            [ip_network(one) for one in self.node_networks.split()]
        except ValueError as error:
            raise ValueError(f"node_networks must be networks, such as 10.0.0.0/8 ({error})") from None

    @property
    def nearest(self) -> dict[str, list[str]]:
        """Return the other regions by distance, for each region that says so."""
        chains = [
            [name.strip() for name in chain.split(">")] for chain in self.near.split(",") if chain.strip()
        ]
        return {
            region: [name for name in dict.fromkeys(others) if name != region] for region, *others in chains
        }


@dataclass(frozen=True)
class Node:
    """A realtime server as it reported itself.

    Shares from 0 to 1, and for how long it has been silent since.
    """

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
        """Return how much it should get.

        Its capacity, less when its processor or memory is nearly used up.
        """
        strain = max(0.0, (max(self.cpu, self.memory) - BUSY) / (1 - BUSY))
        return self.capacity * max(FLOOR, 1 - strain)

    @property
    def out(self) -> bool:
        """Tell whether it is gone."""
        return self.silent >= (SILENT_AFTER if self.url else UNSCRAPED_AFTER)

    @property
    def usable(self) -> bool:
        """Tell whether people can be sent there."""
        return bool(self.url) and not self.out and not self.draining and self.weight > 0


@dataclass(frozen=True)
class PlacementRequest:
    """A wedding's people: how many are expected, and the region they should be served in."""

    wedding_id: str
    size: int
    region: str


#: The nodes a wedding's people go to, best first, with how many each is expected to get.
Placements = dict[str, list[tuple[str, int]]]


def rank(wedding_id: str, nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes by the wedding's preference, which no other wedding or node has a part in."""
    return sorted(nodes, key=lambda node: (-_pull(wedding_id, node), node.name))


def _pull(wedding_id: str, node: Node) -> float:
    digest = blake2b(f"{wedding_id} {node.name}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest) + 0.5) / 2**64
    return node.weight / -log(share) if node.weight > 0 else -inf


def place(
    requests: Sequence[PlacementRequest],
    nodes: Sequence[Node],
    policy: Policy,
    *,
    kept: Mapping[str, Sequence[str]],
    share: float = 1.0,
) -> Placements:
    """Return the nodes of every request.

    Who has a place in `kept` that is still there stays; the largest choose first. A request goes to its
    region; when that has no node left, to as many of the nearest regions as it takes, or else to all others.
    One larger than any room is spread over its next nodes. `share` is what guests may fill of a node.
    """
    usable = [node for node in nodes if node.usable]
    here, theirs = _by_region(usable), _by_region(requests)
    taken, found = Counter[str](), Placements()
    for region in sorted(here.keys() & theirs.keys()):
        found |= _place_on(here[region], theirs[region], policy, kept, taken)
    for region in sorted(theirs.keys() - here.keys()):
        homeless = theirs[region]
        had = {name for request in homeless for name in kept.get(request.wedding_id, ())}
        room = {node.name: share * node.weight - taken[node.name] for node in usable}
        refuge = _refuge(
            policy.nearest.get(region, ()), sum(request.size for request in homeless), usable, room, had
        )
        found |= _place_on(refuge, homeless, policy, kept, taken)
    return found


_Placed = TypeVar("_Placed", Node, PlacementRequest)


def _by_region(all_of_them: Iterable[_Placed]) -> dict[str, list[_Placed]]:
    found = defaultdict[str, list[_Placed]](list)
    for one in all_of_them:
        found[one.region].append(one)
    return found


def _refuge(
    near: Iterable[str], size: int, usable: list[Node], room: Mapping[str, float], had: set[str]
) -> list[Node]:
    """Return the nodes of as many of the nearest regions as have room for `size`.

    All nodes when no distance is known. The regions of nodes that they `had` are among them: who found refuge
    is not moved because there is room nearer by.
    """
    nodes: list[Node] = []
    settled = {node.region for node in usable if node.name in had}
    for region in near:
        nodes += [node for node in usable if node.region == region]
        if sum(room[node.name] for node in nodes) >= size and settled <= {node.region for node in nodes}:
            return nodes
    return usable


def _share(nodes: list[Node], requests: list[PlacementRequest], policy: Policy, taken: Counter[str]) -> float:
    """Return how much of their weight nodes may take, so that all requests and who is there have room."""
    users = sum(request.size for request in requests) + sum(taken[node.name] for node in nodes)
    return max(policy.bound * users / sum(node.weight for node in nodes), policy.comfort)


def _turns(
    requests: list[PlacementRequest], kept: Mapping[str, Sequence[str]], room: Mapping[str, float]
) -> Iterator[tuple[PlacementRequest, list[str], str | None]]:
    """Yield requests as they choose: each with its nodes that are left, and the one where it stays whole."""
    names = {request: kept.get(request.wedding_id, ()) for request in requests}
    had = {request: [name for name in names[request] if name in room] for request in requests}
    # Who was on one node that is still there stays there whole, whatever the bound says, and takes its room
    # first.
    whole = {
        request: had[request][0] for request in requests if len(names[request]) == len(had[request]) == 1
    }
    # Then who is spread and lost none of its nodes: those who lost one must not push them out.
    hurt = {request: len(had[request]) < len(names[request]) for request in requests}
    for request in sorted(
        requests, key=lambda one: (one not in whole, not had[one], hurt[one], -one.size, one.wedding_id)
    ):
        yield request, had[request], whole.get(request)


def _place_on(
    nodes: list[Node],
    requests: list[PlacementRequest],
    policy: Policy,
    kept: Mapping[str, Sequence[str]],
    taken: Counter[str],
) -> Placements:
    if not nodes:
        return {request.wedding_id: [] for request in requests}
    share = _share(nodes, requests, policy, taken)
    room = {node.name: share * node.weight - taken[node.name] for node in nodes}
    found: Placements = {}
    for request, had, whole in _turns(requests, kept, room):
        found[request.wedding_id] = _take(request, whole, had, nodes, room)
    for node in nodes:
        taken[node.name] = round(share * node.weight - room[node.name])
    return found


def _take(
    request: PlacementRequest, whole: str | None, had: list[str], nodes: list[Node], room: dict[str, float]
) -> list[tuple[str, int]]:
    """Take room: on the node that has it whole, for a new request on the first with room, else on several."""
    if not whole:
        # Most stay where they are: to rank all nodes for those is most of the work.
        ranking = [node.name for node in rank(request.wedding_id, nodes)]
        whole = None if had else next((name for name in ranking if room[name] >= request.size), None)
        if not whole:
            return _spread(request.size, had, ranking, room)
    room[whole] -= request.size
    return [(whole, request.size)] if request.size else []


def _spread(size: int, had: list[str], ranking: list[str], room: dict[str, float]) -> list[tuple[str, int]]:
    """Take room for a request where it was spread, or on as many nodes as it takes."""
    parts: list[tuple[str, int]] = []
    left = size
    others = sorted(filterfalse(had.__contains__, ranking), key=lambda name: -room[name])
    for name in [*had, *others]:
        # Who was here first keeps a foot here, were the room used up: or all of them would move.
        foothold = name in had[:1]
        if part := min(left, max(foothold, int(room[name]))):
            parts.append((name, part))
            room[name] -= part
            left -= part
    if left:
        # Nowhere is room: the first of its ranking is as good as any, and the bound shows what is missing.
        first, part = parts[0] if parts else (ranking[0], 0)
        room[first] -= left
        parts[:1] = [(first, part + left)]
    return parts
