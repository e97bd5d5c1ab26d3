"""One type of id, in Python, in Lua, in messages and in metrics."""

import re

import pytest

from tests import ROOT
from workers.commands.rules.contract import problems
from workers.connections.formats import permits
from workers.connections.rules.admission import names_wedding
from workers.emergencies.formats import OpenEmergency
from workers.measurements.rules import samples
from workers.weddings.rules.calendar import ID

GOOD = [
    "w-1",
    "20270612T160000-c54@example.com",
    "202706121600",
    "0" * 112,
    "A" * 128,
    "smith-at-lake",
    "eyJ.x",
    "x_y",
]
BAD = [
    "",
    "w:1",
    "hq:loading",
    "-w",
    ".w",
    "w 1",
    "w\n",
    "w|1",
    "w;1",
    "w/1",
    "w\x1b[31m",
    "é",
    "A" * 129,
    "../x",
    "w\0",
]


@pytest.mark.parametrize("id", GOOD)
def test_what_the_calendar_takes_can_be_measured_asked_for_and_permitted(id: str) -> None:
    assert ID.fullmatch(id)
    assert samples.series("guest_list_seconds", (("wedding_id", id),))[1] == ""
    assert problems(OpenEmergency, {"kind": "venue", "wedding_id": id}) == []
    permits.check_names(permits.Permit("u1", "guest", id, supplier_id=id))


@pytest.mark.parametrize("id", BAD)
def test_what_it_does_not_take_nobody_takes(id: str) -> None:
    assert not ID.fullmatch(id)
    if id:
        assert samples.series("guest_list_seconds", (("wedding_id", id),))[1]
    assert problems(OpenEmergency, {"kind": "venue", "wedding_id": id})
    with pytest.raises(permits.PermitRefused) as refusal:
        permits.check_names(permits.Permit("u1", "guest", id))
    assert len(id) < 2 or id not in str(refusal.value)


def test_a_user_is_nobody_s_address() -> None:
    with pytest.raises(permits.PermitRefused):
        permits.check_names(permits.Permit("ada@example.com", "guest", "w-1"))


@pytest.mark.parametrize("region", ["+491701234567", "ada@example.com", "us west", "us:west"])
def test_a_region_is_nobody_s_number_or_address(region: str) -> None:
    assert samples.series("guest_list_seconds", (("region", region),))[1]


def test_lua_has_the_same_alphabet() -> None:
    for path in ("foundation/common.lua",):
        assert re.search(r"'\^%w\[%w\._@-\]\*\$'", (ROOT / "workers" / path).read_text()), path


@pytest.mark.parametrize(
    ("channel", "wedding", "own"),
    [
        ("timeline:w-17", "w-17", True),
        ("wedding:w-17:s1", "w-17", True),
        ("timeline:w-17", "timeline", False),
        ("wedding:w-18:w-17", "w-17", False),
        ("timeline", "w-17", False),
        ("ops:alerts", "ops", True),
        ("ops:alerts", "alerts", False),
        ("timeline:ops", "w-17", False),
        ("timeline:", "", False),
    ],
)
def test_a_channel_names_its_wedding_at_a_fixed_place(channel: str, wedding: str, own: bool) -> None:
    assert names_wedding(channel, wedding) == own or (not wedding and names_wedding(channel, wedding))
