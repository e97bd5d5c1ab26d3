"""Who may say what."""

import pytest

from workers.connections.rules import sending
from workers.connections.rules.admission import PROFILES
from workers.connections.rules.revocations import Revocation, Whose, is_revoked


@pytest.mark.parametrize(
    ("user_type", "channel", "event", "may"),
    [
        ("guest", "wedding:w-1", "photo", True),
        ("guest", "chat:w-1", "hello", True),
        ("guest", "timeline:w-1", "photo", False),
        ("guest", "catering:w-1", "hello", False),
        ("guest", "wedding:w-1", "Timeline_Update", False),
        ("guest", "wedding:w-1", "schedule", False),
        ("guest", "wedding:w-1", "emergency", False),
        ("vendor", "timeline:w-1", "timeline_update", True),
        ("vendor", "wedding:w-1", "EMERGENCY_STOP", False),
        ("planner", "wedding:w-1", "emergency", True),
        ("couple", "timeline:w-1", "timeline_update", True),
    ],
)
def test_who_may_broadcast_what(user_type: str, channel: str, event: str, may: bool) -> None:
    assert (not sending.problem(user_type, channel, event)) is may


def test_each_kind_of_a_suppliers_work_is_closed_to_guests_but_what_is_social() -> None:
    kinds = {kind for own in PROFILES.values() for kind in own}
    assert {kind for kind in kinds if not sending.problem("guest", f"{kind}:w-1", "x")} == {
        "wedding", "photos", "person", "urgent"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "may"), [("ada", True), ("", True), (None, True), ("ben", False), (7, False)]
)
def test_presence_is_ones_own(key: object, may: bool) -> None:
    assert (not sending.presence_problem("ada", key)) is may


@pytest.mark.parametrize(
    ("whose", "id", "issued", "revoked"),
    [
        (Whose.USER, "ada", 99, True),
        (Whose.USER, "ada", 100, True),
        (Whose.USER, "ada", 101, False),
        (Whose.USER, "ben", 99, False),
        (Whose.WEDDING, "w-1", 99, True),
        (Whose.WEDDING, "w-2", 99, False),
        (Whose.KEY, "k1", 99, True),
        # Who stole a key writes any moment.
        (Whose.KEY, "k1", 1e12, True),
        (Whose.KEY, "k2", 99, False),
    ],
)
def test_what_is_taken_back(whose: Whose, id: str, issued: float, revoked: bool) -> None:
    assert is_revoked("ada", "w-1", "k1", issued, [Revocation(whose, id, 100, 3700)], at=200) is revoked
    assert not is_revoked("ada", "w-1", "k1", issued, [Revocation(whose, id, 100, 3700)], at=3701)
