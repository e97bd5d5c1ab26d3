"""Channels of a wedding, of its suppliers of a type and of a person: who may join which."""

from typing import Any

import pytest

from tests.made import connection, record
from workers.connections.rules import channels
from workers.connections.rules.admission import PROFILES
from workers.connections.store import registry

pytestmark = pytest.mark.usefixtures("world")

FLORIST = {"user_type": "vendor", "supplier_id": "s1", "supplier_type": "florist"}
BANDS = channels.of_type("w-1", "band")


def _refused(answer: dict[str, Any] | None) -> dict[str, str]:
    return {channel: why for kind in (answer or {}).values() for channel, why in kind.get("refused", ())}


@pytest.mark.parametrize(
    ("facts", "channel", "why"),
    [
        (FLORIST, "wedding:w-1", ""),
        (FLORIST, "wedding:w-1:florist", ""),
        (FLORIST, "wedding:w-1:band", "not_theirs"),
        (FLORIST, "wedding:w-1:person:u1", ""),
        (FLORIST, "wedding:w-1:person:u2", "not_theirs"),
        (FLORIST, "wedding:w-1:person", "not_theirs"),
        (FLORIST, "wedding:w-2", "wrong_wedding"),
        (FLORIST, "songs:w-1", "not_in_profile"),
        ({"user_type": "planner"}, "wedding:w-1:band", ""),
        ({"user_type": "couple"}, "wedding:w-1:florist", ""),
        ({"user_type": "couple"}, "wedding:w-1:person:u2", "not_theirs"),
        ({}, "wedding:w-1", ""),
        ({}, "wedding:w-1:florist", "not_theirs"),
        ({}, "wedding:w-2:person:u1", "wrong_wedding"),
        ({}, "timeline:w-1", ""),
        ({}, "person:w-1:u1", ""),
        ({}, "person:w-1:u2", "not_theirs"),
        ({}, "wedding:w-1:person:u1:x", "not_theirs"),
        ({"user_type": "planner"}, "wedding:w-1:band:x", "not_theirs"),
    ],
)
def test_who_may_join_which_channel_of_a_wedding(facts: dict[str, Any], channel: str, why: str) -> None:
    expected = {channel: why} if why else {}
    opened = registry.open(connection("c1", **facts, channels=(channel,)))
    assert _refused(opened.kinds) == expected
    other = registry.open(connection("c2", **facts, channels=("timeline:w-1", channel)))
    assert _refused(other.kinds) == expected
    third = registry.open(connection("c3", **facts))
    supplier_type = facts.get("supplier_type", "")
    assert _refused(registry.subscribe(third.ref, [channel], supplier_type=supplier_type)) == expected
    assert (record(third.ref) or {}).get("channels", []) == ([] if why else [channel])


@pytest.mark.parametrize("kind", PROFILES)
def test_every_type_of_supplier_may_join_what_is_for_it(kind: str) -> None:
    facts = {"user_type": "vendor", "supplier_id": "s1", "supplier_type": kind}
    own = (channels.wedding("w-1"), channels.of_type("w-1", kind), channels.of_person("w-1", "u1"))
    assert _refused(registry.open(connection("c1", **facts, channels=own)).kinds) == {}


@pytest.mark.parametrize(
    ("topic", "channel"),
    [
        ("realtime:wedding:w-1", "wedding:w-1"),
        ("realtime:person:w-1:u1", "wedding:w-1:person:u1"),
        ("person:w-1", "person:w-1"),
        ("realtime:urgent:w-1", "wedding:w-1"),
        ("realtime:timeline:w-1:a", "timeline:w-1:a"),
        ("ops:alerts", "ops:alerts"),
    ],
)
def test_topics_of_stock_clients_and_of_version_1_are_these_channels(topic: str, channel: str) -> None:
    assert channels.canonical(topic) == channel
