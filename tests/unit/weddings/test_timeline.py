"""Moments of a wedding: read, checked, put in order, moved."""

import csv as stdlib_csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import wedding
from workers.weddings.formats import csv
from workers.weddings.formats import timeline as formats
from workers.weddings.formats.timeline import TimelineRefused
from workers.weddings.rules import timeline as rules

#: From 15:00 to 21:00 on a Saturday in New York.
ONE = wedding(
    starts_local=datetime(2026, 10, 10, 15),
    ends_local=datetime(2026, 10, 10, 21),
    supplier_ids=("s1", "s2"),
    duties={"s1": {"type": "florist"}},
)
FULL = [
    {"id": "flowers", "start": "12:00", "end": "14:00", "owner": "florist", "place": "chapel"},
    {"id": "ceremony", "start": "15:00", "end": "15:30", "owner": "planner", "after": ["flowers"]},
    {"id": "party", "start": "23:30", "end": "00:30", "owner": "s2", "kind": "dancing", "critical": True},
]


def _taken(document: Any, one: Any = ONE) -> list[rules.TimelineMoment]:
    return formats.taken(document, one)


def test_moments_are_read_as_local_times_of_the_wedding() -> None:
    flowers, ceremony, party = _taken(FULL)
    assert (flowers.start, flowers.end) == (datetime(2026, 10, 10, 12), datetime(2026, 10, 10, 14))
    assert (ceremony.kind, ceremony.critical, ceremony.after) == ("ceremony", True, ("flowers",))
    assert (party.end, party.kind, party.critical) == (datetime(2026, 10, 11, 0, 30), "dancing", True)
    assert not flowers.critical


def test_what_is_kept_is_what_was_read() -> None:
    kept = formats.document(_taken(FULL))
    assert formats.known(replace(ONE, timeline=kept)) == _taken(FULL)
    assert formats.document(_taken(orjson.loads(orjson.dumps(kept)))) == kept


def test_what_is_said_to_be_critical_or_not_stays_so() -> None:
    said = [FULL[0] | {"critical": True}, FULL[1] | {"critical": False, "after": []}]
    once = _taken(said)
    again = _taken(formats.document(once))
    assert [one.critical for one in again] == [one.critical for one in once] == [True, False]
    assert formats.known(replace(ONE, timeline=formats.document(once))) == once


def test_the_short_form_is_a_chain_by_time() -> None:
    found = _taken({"Dinner": "18:30", "ceremony": "15:00", "first dance!": "20:00"})
    assert [(one.id, one.after) for one in found] == [
        ("ceremony", ()),
        ("Dinner", ("ceremony",)),
        ("first-dance", ("Dinner",)),
    ]
    assert [one.kind for one in found] == ["ceremony", "dinner", "first_dance"]


def test_of_what_an_earlier_version_kept_unchecked_the_times_are_read() -> None:
    kept = {"ceremony": "15:00", "cake": "half past nine", "guests": 120}
    assert [one.id for one in formats.known(replace(ONE, timeline=kept))] == ["ceremony"]


@pytest.mark.parametrize(
    ("starts", "ends", "text", "day"),
    [
        ("15:00", "21:00", "01:30", 10),
        ("15:00", "21:00", "00:30", 11),
        ("15:00", "21:00", "07:00", 10),
        ("18:00", "26:00", "05:30", 11),
        ("18:00", "26:00", "07:00", 10),
        ("10:00", "22:00", "22:30", 10),
        ("10:00", "22:00", "06:00", 10),
    ],
)
def test_a_time_of_the_day_is_of_the_weddings_day(starts: str, ends: str, text: str, day: int) -> None:
    def _at(clock: str) -> datetime:
        return datetime(2026, 10, 10) + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))

    one = replace(ONE, starts_local=_at(starts), ends_local=_at(ends))
    assert _taken({"x": text}, one)[0].start.day == day


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"after": ["party"]}, "wait for each other: ceremony → party → ceremony; take one `after` out"),
        ({"after": ["nobody"]}, "moment 'ceremony': it comes after 'nobody', which is no moment"),
        ({"after": "flowers"}, "after must be a list of the ids"),
        ({"owner": "band"}, "owner='band' is nobody of this wedding; there are couple, florist, operations"),
        ({"end": "2026-10-10T14:30"}, "it ends (14:30) before it starts (15:00)"),
        (
            {"start": "2026-10-13T14:30", "end": "2026-10-13T15:30"},
            "is outside the wedding: from 2026-10-09T15:00",
        ),
        ({"start": "three"}, "moment 'ceremony': start='three' is no time; write local wall time as 15:00"),
        ({"start": "2026-10-10T15:00+02:00"}, "is no time"),
        ({"start": 15}, "start='' is no time"),
        ({"id": "a b"}, "moment 2: id='a b': use 1-128 letters"),
        ({"id": "flowers"}, "has the moment 'flowers' twice"),
        ({"kind": "First Dance"}, "kind='First Dance': use small letters"),
        ({"critical": "yes"}, "critical must be true or false"),
        ({"starts": "15:00"}, "'starts' is no field; there are id, start, end"),
        ({"place": "a\nb"}, "place must be a text of 80 characters at most, in one line"),
    ],
)
def test_what_cannot_be_is_refused_with_the_moment_and_the_remedy(change: dict[str, Any], says: str) -> None:
    flowers, ceremony, party = FULL
    with pytest.raises(TimelineRefused) as refused:
        _taken([flowers, ceremony | change, party | {"after": ["ceremony"]}])
    assert says in str(refused.value)


def test_a_circle_of_one_is_one() -> None:
    with pytest.raises(TimelineRefused, match="x → x"):
        _taken([{"id": "x", "start": "15:00", "after": ["x"]}])


def test_there_are_only_so_many_moments() -> None:
    many = [{"id": f"m{n}", "start": "15:00"} for n in range(500)]
    with pytest.raises(TimelineRefused, match="has 500 moments; a wedding has 200 at most"):
        _taken(many)


def test_a_night_on_which_clocks_change() -> None:
    autumn = replace(ONE, starts_local=datetime(2026, 10, 31, 18), ends_local=datetime(2026, 11, 1, 2))
    assert _taken([{"id": "last", "start": "01:00", "end": "01:30"}], autumn)
    spring = replace(ONE, starts_local=datetime(2027, 3, 13, 18), ends_local=datetime(2027, 3, 14, 3))
    with pytest.raises(TimelineRefused, match="2027-03-14T02:30:00 does not exist in America/New_York"):
        _taken([{"id": "last", "start": "02:30"}], spring)


def test_conflicts_are_said_and_not_refused() -> None:
    found = _taken(
        [
            {"id": "dinner", "start": "18:00", "end": "20:00", "owner": "s1"},
            {"id": "cake", "start": "19:30", "end": "19:45", "owner": "s1", "after": ["dinner"]},
        ]
    )
    assert rules.conflicts(found) == [
        "cake starts at 19:30, before dinner ends at 20:00",
        "s1 has dinner and cake at the same time",
    ]


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_an_order_exists_where_there_is_no_circle(edges: list[tuple[int, int]]) -> None:
    after: dict[int, list[str]] = {number: [] for number in range(12)}
    for one, other in edges:
        after[one].append(f"m{other}")
    start = datetime(2026, 10, 10, 15)
    moments = [
        rules.TimelineMoment(f"m{number}", start, start, "x", after=tuple(names))
        for number, names in after.items()
    ]
    circle = rules.cycle(moments)
    if circle:
        assert circle[0] == circle[-1]
        by_id = {one.id: one for one in moments}
        assert all(one in by_id[other].after for one, other in pairwise(circle))
        return
    there = set[str]()
    for one in rules.in_order(moments):
        assert there.issuperset(one.after)
        there.add(one.id)
    assert len(there) == 12


def test_a_timeline_that_only_moved_with_its_wedding_is_the_same() -> None:
    one = replace(ONE, timeline=formats.document(_taken(FULL)))
    later = replace(ONE, starts_local=datetime(2026, 10, 17, 15), ends_local=datetime(2026, 10, 17, 21))
    again = replace(later, timeline=formats.document(_taken(FULL, later)))
    assert formats.digest(one) == formats.digest(again)
    assert formats.carried(one.timeline, one.starts_local, later) == again.timeline


def _row(status: str, document: object) -> str:
    out = io.StringIO()
    writer = stdlib_csv.writer(out)
    writer.writerow(
        ["id", "start", "end", "zone", "guest_count", "venue_type", "region", "status", "timeline"]
    )
    facts = ["w-1", "2026-10-10T15:00", "2026-10-10T21:00", "America/New_York", 9, "garden", "east", status]
    writer.writerow([*facts, json.dumps(document)])
    return out.getvalue()


def test_of_the_short_form_what_has_no_time_is_noted_and_keeps_nothing_from_being_taken() -> None:
    odd = {"guests": 3, "dinner": "after the photos"}
    times = {"ceremony": "15:00:00", "церемония": "16:00", "ужин": "19:00"}
    reading = csv.read(_row("confirmed", times | odd).encode())
    [one] = reading.weddings
    assert [each["id"] for each in one.timeline] == ["ceremony", "moment", "moment-3"]
    assert len(reading.notes) == 2
    assert "timeline: 'guests' has no time, and was passed over" in reading.notes[0]


def test_a_cancellation_is_taken_whatever_its_timeline_says() -> None:
    bad = [{"id": "x", "start": "15:00", "after": ["x"]}]
    assert csv.read(_row("confirmed", bad).encode()).refused
    reading = csv.read(_row("cancelled", bad).encode())
    assert (len(reading.weddings), reading.refused) == (1, [])
    assert "passed over, for the wedding is cancelled" in reading.notes[0]


def test_what_the_terminal_prints_as_json_can_be_set_again() -> None:
    moments = _taken(FULL)
    printed = {"schema": "wedops.timeline_of/1", "version": 3, "moments": formats.document(moments)}
    assert _taken(printed) == moments
