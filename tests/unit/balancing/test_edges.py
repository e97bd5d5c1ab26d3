"""The edges of placement: proportion of weights, who stays whole or spread, refuge that is just full."""

from collections import Counter
from typing import Any

import pytest

from tests.unit.balancing.test_rules import POLICY, _kept, _loads, _nodes
from workers.balancing.rules import Node, Policy, place, rank
from workers.balancing.rules import PlacementRequest as Request


@pytest.mark.parametrize(
    "fine", [{"bound": 1.02}, {"bound": 10}, {"comfort": 0}, {"comfort": 1}, {"joins_per_second": 1}]
)
def test_the_ends_are_allowed(fine: Any) -> None:
    Policy(**fine)


@pytest.mark.parametrize("wrong", [{"bound": 10.5}, {"comfort": 1.5}, {"comfort": -0.1}])
def test_beyond_is_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(**wrong)


def test_weights_count_in_proportion_and_nothing_comes_last() -> None:
    big, small = Node("big", "east", "ws://b", 3000), Node("small", "east", "ws://s", 1000)
    first = Counter(rank(f"w-{n}", [big, small])[0].name for n in range(1000))
    assert 700 < first["big"] < 800
    none = Node("none", "east", "ws://n", 0)
    assert all(rank(f"w-{n}", [none, big, small])[-1] is none for n in range(20))


def test_a_new_wedding_goes_whole_to_the_first_of_its_ranking_that_has_room() -> None:
    nodes = _nodes(5)
    requests = [Request(f"w-{n}", 10, "east") for n in range(20)]
    found = place(requests, nodes, Policy(), kept={})
    assert found == {p.wedding_id: [(rank(p.wedding_id, nodes)[0].name, 10)] for p in requests}
    # Exactly as much room as it needs is room.
    assert place([Request("w", 300, "east")], nodes, Policy(), kept={}) == {
        "w": [(rank("w", nodes)[0].name, 300)]
    }


def test_everybody_is_placed_in_every_region() -> None:
    nodes = [*_nodes(3, "a"), *_nodes(3, "b")]
    requests = [Request(f"{region}-{n}", 10, region) for region in "abcd" for n in range(5)]
    assert set(place(requests, nodes, POLICY, kept={})) == {p.wedding_id for p in requests}


def test_nobody_is_nowhere() -> None:
    assert place([Request("w", 0, "east")], _nodes(2), POLICY, kept={}) == {"w": []}


def test_who_is_whole_stays_whole_whatever_the_bound_says() -> None:
    requests = [Request("w-1", 100, "east"), Request("w-2", 100, "east")]
    kept = {"w-1": ["east-0"], "w-2": ["east-0"]}
    assert place(requests, _nodes(2), POLICY, kept=kept) == {
        "w-1": [("east-0", 100)],
        "w-2": [("east-0", 100)],
    }


def test_who_is_spread_stays_spread_though_one_node_had_room() -> None:
    found = place(
        [Request("w-1", 100, "east")], _nodes(3), Policy(), kept={"w-1": ["east-1", "east-2", "gone"]}
    )
    assert found == {"w-1": [("east-1", 100)]}
    found = place([Request("w-1", 400, "east")], _nodes(3), Policy(), kept={"w-1": ["east-1", "east-2"]})
    assert found == {"w-1": [("east-1", 300), ("east-2", 100)]}


def test_where_nowhere_is_room_the_first_of_the_ranking_has_it() -> None:
    nodes = _nodes(10)
    order = [node.name for node in rank("w", nodes)]
    assert place([Request("w", 1, "east")], nodes, POLICY, kept={}) == {"w": [(order[0], 1)]}
    assert place([Request("w", 12, "east")], nodes, POLICY, kept={}) == {
        "w": [(order[0], 3), *((name, 1) for name in order[1:])]
    }


def test_the_largest_choose_first() -> None:
    nodes = _nodes(2)
    requests = [Request("a", 10, "east"), Request("b", 300, "east")]
    assert place(requests, nodes, Policy(), kept={})["b"] == [(rank("b", nodes)[0].name, 300)]
    requests = [*(Request(f"a-{n}", 50, "east") for n in range(8)), Request("b", 200, "east")]
    assert len(place(requests, nodes, Policy(), kept={})["b"]) == 1


def test_a_large_wedding_takes_the_emptiest_nodes_first() -> None:
    nodes = _nodes(3)
    kept = {"w-1": ["east-0"], "w-2": ["east-1"]}
    requests = [
        Request("w-1", 200, "east"),
        Request("w-2", 100, "east"),
        Request("big", 450, "east"),
    ]
    assert [name for name, _ in place(requests, nodes, Policy(), kept=kept)["big"]] == ["east-2", "east-1"]


def test_a_foothold_is_kept_by_the_first_node_only() -> None:
    kept = {"full": ["east-0"], "also": ["east-1"], "spread": ["east-0", "east-1"]}
    requests = [
        Request("full", 400, "east"),
        Request("also", 400, "east"),
        Request("spread", 40, "east"),
    ]
    found = place(requests, _nodes(4), Policy(), kept=kept)["spread"]
    assert found[0] == ("east-0", 1)
    assert next(name for name, _ in found[1:]) in {"east-2", "east-3"}
    assert len(found) == 2


def test_share_of_guests_is_all_unless_said() -> None:
    policy = Policy(near="west>central>east")
    nodes = [*_nodes(2, "central"), *_nodes(2, "east")]
    requests = [Request(f"w-{n}", 10, "west") for n in range(210)]
    assert {name.partition("-")[0] for name in _loads(place(requests, nodes, policy, kept={}))} == {
        "central",
        "east",
    }
    just = [Request(f"w-{n}", 10, "west") for n in range(200)]
    assert {name.partition("-")[0] for name in _loads(place(just, nodes, policy, kept={}))} == {"central"}


def test_a_refuge_counts_who_is_there_already() -> None:
    policy = Policy(near="west>central>east")
    nodes = [*_nodes(2, "central"), *_nodes(2, "east")]
    own = [Request(f"c-{n}", 10, "central") for n in range(120)]
    lost = [Request(f"w-{n}", 10, "west") for n in range(100)]
    found = place([*own, *lost], nodes, policy, kept={})
    there = {name.partition("-")[0] for p in lost for name, _ in found[p.wedding_id]}
    assert there == {"central", "east"}
    assert max(_loads(found).values()) <= 1.1 * 2200 / 4 + 60


def test_who_found_refuge_in_all_of_a_region_needs_no_more() -> None:
    policy = Policy(near="west>central>east")
    nodes = [*_nodes(2, "central"), *_nodes(2, "east")]
    lost = [Request(f"w-{n}", 10, "west") for n in range(20)]
    before = place(lost, nodes, policy, kept={})
    after = place(
        [*lost, *(Request(f"n-{n}", 10, "west") for n in range(20))], nodes, policy, kept=_kept(before)
    )
    assert {name.partition("-")[0] for name in _loads(after)} == {"central"}


def test_who_lost_a_node_does_not_push_out_who_lost_none() -> None:
    kept = {"hurt": ["gone", "east-0"], "calm": ["east-0", "east-1"]}
    requests = [Request("hurt", 500, "east"), Request("calm", 400, "east")]
    assert place(requests, _nodes(2), POLICY, kept=kept)["calm"] == [("east-0", 400)]


def test_who_had_nodes_chooses_before_who_is_new() -> None:
    kept = {"old": ["east-0", "east-1"]}
    requests = [Request("old", 300, "east"), Request("new", 600, "east")]
    assert place(requests, _nodes(2), POLICY, kept=kept)["old"] == [("east-0", 300)]


def test_one_of_many() -> None:
    nodes = [Node("big", "e", "ws://b", 3000), *(Node(f"n{i}", "e", "ws://n", 1000) for i in range(10))]
    first = Counter(rank(f"w-{n}", nodes)[0].name for n in range(1000))
    assert 190 < first["big"] < 275
