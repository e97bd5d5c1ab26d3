"""Balance: 10,000 connections of 500 weddings on 10 nodes, and then one node is lost.

`max_over_mean` is the fullest node's load over the mean; `wedding_on_one_node` the share of people who are
where most of their wedding is; `moved_on_node_loss` the share of people who move though their node was not
lost; `after_loss_…` is how it is then. Peers: `ring` (consistent hashing of weddings, 100 points a node),
`rendezvous` (highest random weight, no bound), `least_connections` (each person to the emptiest node).
"""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from zlib import crc32

from benchmarks import crowd, form
from workers.balancing.rules import Node, PlacementRequest, Policy, place, rank
from workers.foundation import clock

PEOPLE, WEDDINGS, NODES = 10_000, 500, 10
#: Person (wedding, number) -> node.
Seats = dict[tuple[str, int], str]
Seating = Callable[[list[PlacementRequest], list[Node], Seats], Seats]


def main() -> None:
    """Print the figures."""
    seatings: dict[str, Seating] = {
        "ours": _ours,
        "ring": _ring,
        "rendezvous": _rendezvous,
        "least_connections": _least_connections,
    }
    form.main(
        "balance", {name: partial(_measure, seating) for name, seating in seatings.items()}, _ratios, runs=5
    )


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours = medians["ours"]["max_over_mean"]
    return {
        f"{name}_max_over_mean_over_ours": medians[name]["max_over_mean"] / ours
        for name in medians
        if name != "ours"
    }


_runs = iter(range(1, 1_000_000))


def _measure(seating: Seating) -> form.Figures:
    requests, nodes = (
        _parties(next(_runs)),
        [Node(f"rt-{n}", "east", f"ws://rt-{n}", 1_200) for n in range(NODES)],
    )
    begun = clock.stopwatch()
    before = seating(requests, nodes, {})
    took = clock.stopwatch() - begun
    lost = nodes[0].name
    after = seating(requests, nodes[1:], {person: node for person, node in before.items() if node != lost})
    stayed = [person for person, node in before.items() if node != lost]
    return {
        "max_over_mean": max(Counter(before.values()).values()) / (PEOPLE / NODES),
        "wedding_on_one_node": _together(before),
        "moved_on_node_loss": sum(after[person] != before[person] for person in stayed) / len(stayed),
        "after_loss_max_over_mean": max(Counter(after.values()).values()) / (PEOPLE / (NODES - 1)),
        "after_loss_wedding_on_one_node": _together(after),
        "place_ms": took * 1000,
    }


def _parties(seed: int) -> list[PlacementRequest]:
    sizes = crowd.sizes(WEDDINGS, seed)
    scaled = [max(1, round(size * PEOPLE / sum(sizes))) for size in sizes]
    scaled[0] += PEOPLE - sum(scaled)
    return [PlacementRequest(f"w-{seed}-{number}", size, "east") for number, size in enumerate(scaled)]


def _together(seats: Seats) -> float:
    by_wedding: dict[str, Counter[str]] = defaultdict(Counter)
    for (wedding, _), node in seats.items():
        by_wedding[wedding][node] += 1
    return sum(max(nodes.values()) for nodes in by_wedding.values()) / len(seats)


def _ours(requests: list[PlacementRequest], nodes: list[Node], kept: Seats) -> Seats:
    had: dict[str, list[str]] = defaultdict(list)
    for (wedding, _), node in kept.items():
        if node not in had[wedding]:
            had[wedding].append(node)
    seats: Seats = {}
    for wedding, parts in place(requests, nodes, Policy(), kept=had).items():
        number = 0
        for node, size in parts:
            seats |= {(wedding, person): node for person in range(number, number + size)}
            number += size
    return seats


def _whole(requests: list[PlacementRequest], choose: Mapping[str, str]) -> Seats:
    return {
        (request.wedding_id, person): choose[request.wedding_id]
        for request in requests
        for person in range(request.size)
    }


def _ring(requests: list[PlacementRequest], nodes: list[Node], _kept: Seats) -> Seats:
    points = sorted(
        (crc32(f"{node.name}#{point}".encode()), node.name) for node in nodes for point in range(100)
    )
    places = [at for at, _ in points]
    return _whole(
        requests,
        {
            request.wedding_id: points[bisect(places, crc32(request.wedding_id.encode())) % len(points)][1]
            for request in requests
        },
    )


def _rendezvous(requests: list[PlacementRequest], nodes: list[Node], _kept: Seats) -> Seats:
    return _whole(
        requests, {request.wedding_id: rank(request.wedding_id, nodes)[0].name for request in requests}
    )


def _least_connections(requests: list[PlacementRequest], nodes: list[Node], kept: Seats) -> Seats:
    loads = Counter({node.name: 0 for node in nodes}) + Counter(kept.values())
    heap = {node.name: loads[node.name] for node in nodes}
    seats = dict(kept)
    for request in requests:
        for person in range(request.size):
            if (request.wedding_id, person) not in seats:
                name = min(heap, key=lambda one: heap[one])
                seats[request.wedding_id, person] = name
                heap[name] += 1
    return seats


if __name__ == "__main__":
    main()
