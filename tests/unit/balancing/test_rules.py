"""Places: a wedding's people together, nodes evenly filled, and nobody moves without need."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.balancing import rules
from workers.balancing.rules import Node, PlacementRequest, Policy, place, rank

#: Without comfort the bound alone decides.
POLICY = Policy(comfort=0)


def _nodes(count: int = 10, region: str = "east", capacity: int = 1000) -> list[Node]:
    return [
        Node(f"{region}-{number}", region, f"ws://{region}-{number}", capacity) for number in range(count)
    ]


def _loads(places: rules.Placements) -> Counter[str]:
    found: Counter[str] = Counter()
    for parts in places.values():
        for name, size in parts:
            found[name] += size
    return found


def _kept(places: rules.Placements) -> dict[str, list[str]]:
    return {wedding: [name for name, _ in parts] for wedding, parts in places.items()}


SIZES = st.lists(st.integers(1, 400), min_size=20, max_size=200)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(2, 12))
def test_everybody_has_a_place_and_no_node_has_more_than_its_bound(sizes: list[int], count: int) -> None:
    requests = [PlacementRequest(f"w-{number}", size, "east") for number, size in enumerate(sizes)]
    places = place(requests, _nodes(count), POLICY, kept={})
    assert {wedding: sum(size for _, size in parts) for wedding, parts in places.items()} == {
        p.wedding_id: p.size for p in requests
    }
    limit = POLICY.bound * sum(sizes) / count
    # Rooms are whole people: a spread wedding may leave one over a node.
    assert max(_loads(places).values()) <= limit + count


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES)
def test_regions_that_share_the_last_nodes_share_their_room(east: list[int], west: list[int]) -> None:
    requests = [
        PlacementRequest(f"{region}-{n}", size, region)
        for region, sizes in (("a", east), ("b", west))
        for n, size in enumerate(sizes)
    ]
    loads = _loads(place(requests, _nodes(5, "c"), POLICY, kept={}))
    assert max(loads.values()) <= POLICY.bound * (sum(east) + sum(west)) / 5 + 5


def test_a_wedding_that_lost_most_of_its_nodes_is_spread_again() -> None:
    nodes = _nodes(6)
    requests = [
        PlacementRequest("big", 2400, "east"),
        *(PlacementRequest(f"w-{n}", 100, "east") for n in range(12)),
    ]
    before = place(requests, nodes, POLICY, kept={})
    lost = {name for name, _ in before["big"][1:]}
    left = [node for node in nodes if node.name not in lost]
    after = place(requests, left, POLICY, kept=_kept(before))
    assert max(_loads(after).values()) <= POLICY.bound * 3600 / len(left) + 300


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_a_lost_node_moves_only_its_own_people(sizes: list[int]) -> None:
    requests, nodes = (
        [PlacementRequest(f"w-{number}", size, "east") for number, size in enumerate(sizes)],
        _nodes(6),
    )
    before = place(requests, nodes, POLICY, kept={})
    after = place(requests, nodes[1:], POLICY, kept=_kept(before))
    for wedding, parts in before.items():
        names = {name for name, _ in parts}
        if nodes[0].name not in names:
            assert after[wedding][0][0] == parts[0][0]
    assert nodes[0].name not in _loads(after)


def test_nothing_moves_when_nothing_changes() -> None:
    requests = [PlacementRequest(f"w-{number}", 50, "east") for number in range(100)]
    before = place(requests, _nodes(), POLICY, kept={})
    assert place(requests, list(reversed(_nodes())), POLICY, kept=_kept(before)) == before


def test_a_new_wedding_does_not_move_the_others() -> None:
    requests = [PlacementRequest(f"w-{number}", 50, "east") for number in range(100)]
    before = place(requests, _nodes(), POLICY, kept={})
    after = place([*requests, PlacementRequest("w-new", 120, "east")], _nodes(), POLICY, kept=_kept(before))
    assert {wedding: after[wedding] for wedding in before} == before


def test_a_node_that_is_nearly_empty_takes_a_wedding_whole() -> None:
    requests = [PlacementRequest(f"w-{number}", 40, "east") for number in range(4)]
    before = place(requests, _nodes(3), Policy(), kept={})
    assert all(len(parts) == 1 for parts in before.values())
    assert any(len(parts) > 1 for parts in place(requests, _nodes(3), POLICY, kept={}).values())


def test_a_wedding_that_is_spread_stays_so() -> None:
    requests = [PlacementRequest(f"w-{number}", 300, "east") for number in range(7)]
    before = place(requests, _nodes(3), POLICY, kept={})
    assert any(len(parts) > 1 for parts in before.values())
    assert place(requests, _nodes(3), POLICY, kept=_kept(before)) == before


def test_larger_and_healthier_nodes_get_more() -> None:
    big, busy, *rest = _nodes(6)
    nodes = [replace(big, capacity=3000), replace(busy, cpu=1.0), *rest]
    loads = _loads(
        place([PlacementRequest(f"w-{number}", 20, "east") for number in range(400)], nodes, POLICY, kept={})
    )
    assert loads[big.name] > 2 * loads[rest[0].name]
    assert loads[busy.name] < 0.3 * loads[rest[0].name]


def test_a_region_serves_its_own_until_it_has_no_node_left() -> None:
    nodes = [*_nodes(3, "east"), *_nodes(3, "west")]
    requests = [PlacementRequest(f"w-{number}", 10, "west") for number in range(30)]
    before = place(requests, nodes, POLICY, kept={})
    assert {name.partition("-")[0] for name in _loads(before)} == {"west"}
    lost = [replace(node, silent=timedelta(seconds=6)) if node.region == "west" else node for node in nodes]
    after = place(requests, lost, POLICY, kept=_kept(before))
    assert {name.partition("-")[0] for name in _loads(after)} == {"east"}
    assert place(requests, [], POLICY, kept={}) == {request.wedding_id: [] for request in requests}


@pytest.mark.parametrize(
    ("people", "refuge"),
    [(300, {"central"}), (2_000, {"central", "east"}), (6_000, {"central", "east", "south"})],
)
def test_a_lost_regions_people_go_to_the_nearest_regions_that_have_room(
    people: int, refuge: set[str]
) -> None:
    policy = Policy(near=" west > central>east, north>east")
    nodes = [node for region in ("east", "central", "south") for node in _nodes(2, region)]
    requests = [PlacementRequest(f"w-{number}", 10, "west") for number in range(people // 10)]
    assert {
        name.partition("-")[0] for name in _loads(place(requests, nodes, policy, kept={}, share=0.9))
    } == refuge


def test_who_found_refuge_stays_there_when_there_is_room_nearer_by() -> None:
    policy = Policy(near="west>central>east")
    nodes = [node for region in ("east", "central") for node in _nodes(2, region)]
    before = place(
        [PlacementRequest(f"w-{number}", 10, "west") for number in range(200)],
        nodes,
        policy,
        kept={},
        share=0.9,
    )
    after = place(
        [PlacementRequest(f"w-{number}", 10, "west") for number in range(100)],
        nodes,
        policy,
        kept=_kept(before),
        share=0.9,
    )
    assert any(names[0].startswith("east") for names in _kept(before).values())
    assert all(after[wedding] == before[wedding] for wedding in after)


def test_the_bound_of_a_region_is_its_own() -> None:
    requests = [
        PlacementRequest(f"{region}-{n}", 10, region)
        for region, count in (("a", 500), ("b", 20))
        for n in range(count)
    ]
    loads = _loads(place(requests, [*_nodes(5, "a"), *_nodes(4, "b")], POLICY, kept={}))
    assert max(loads[f"b-{number}"] for number in range(4)) <= POLICY.bound * 200 / 4 + 4


def test_a_node_that_drains_gets_nobody() -> None:
    nodes = [replace(node, draining=number == 0) for number, node in enumerate(_nodes(3))]
    assert "east-0" not in _loads(
        place([PlacementRequest("w-1", 10, "east")], nodes, POLICY, kept={"w-1": ["east-0"]})
    )


def test_a_ranking_is_the_same_everywhere_and_changes_with_the_wedding() -> None:
    assert [node.name for node in rank("w-1", _nodes(4))] == [
        node.name for node in rank("w-1", reversed(_nodes(4)))
    ]
    assert len({rank(f"w-{number}", _nodes(4))[0].name for number in range(40)}) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"bound": 1.0},
        {"joins_per_second": 0},
        {"near": "west"},
        {"near": "a>b, >c"},
        {"near": "a>b, a>c"},
        {"near": "a>a"},
        {"near": "\u00e9>b"},
    ],
)
def test_a_policy_under_which_nothing_fits_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)  # type: ignore[arg-type]
