"""Calendars from outside."""

import pytest

from workers.weddings import client

HEADER = "id,start,end,zone,guest_count,venue_type,region,status,supplier_ids,timeline\n"
GOOD = "w-1,2026-10-10T15:00,2026-10-10T21:00,America/New_York,120,garden,us-northeast,confirmed,s1;s2,\n"


def test_a_row_becomes_a_wedding() -> None:
    found = client.read_csv("\ufeff" + HEADER + GOOD)
    assert found.refused == []
    [wedding] = found.weddings
    assert wedding.starts_at.isoformat() == "2026-10-10T19:00:00+00:00"
    assert wedding.supplier_ids == ("s1", "s2")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("120", "-3", "guest_count='-3' must be a whole number from 0 to 100000"),
        ("120", "٣", "guest_count="),
        ("120", "", "guest_count is missing"),
        ("120", "9" * 5000, "guest_count="),
        ("2026-10-10T15:00", "0001-01-01T00:00", "is in no year from 2000 to 2200"),
        ("s1;s2,", 's1;s2,"{""a"":{""b"":1}}"', "timeline must be a JSON object of times by name"),
        ("s1;s2,", 's1;s2,"{""a"":""\\u0000""}"', "timeline holds a NUL character"),
        ("America/New_York", "EST/Nowhere", "zone='EST/Nowhere' is no IANA zone; use a name such as America/New_York"),
        ("2026-10-10T15:00", "2026-03-08T02:30", "does not exist in America/New_York"),
        ("2026-10-10T15:00", "2026-13-40", "start='2026-13-40' is no time"),
        ("2026-10-10T15:00", "2026-10-10T15:00+02:00", "has an offset"),
        ("2026-10-10T21:00", "2026-10-10T14:00", "end=2026-10-10T14:00 must be after start"),
        ("2026-10-10T21:00", "2026-10-19T14:00", "by at most 4 days"),
        ("garden", "castle", "venue_type='castle' is none of outdoor, church"),
        ("confirmed", "maybe", "status='maybe' is none of planned, confirmed, cancelled"),
        ("w-1", "w 1{x}", "id='w 1{x}': use 1-128 letters"),
        ("s1;s2", "s1;s\n2", "supplier_ids"),
        ("s1;s2,", "s1;s2,[1]", "timeline must be a JSON object"),
        ("s1;s2,", "s1;s2,{oops", "timeline is no JSON"),
    ],
)
def test_a_bad_field_is_named_with_its_remedy_and_the_other_rows_are_taken(field: str, value: str, says: str) -> None:
    bad = GOOD.replace(field, f'"{value}"' if "\n" in value else value, 1)
    found = client.read_csv(HEADER + bad + GOOD.replace("w-1", "w-2"))
    assert [wedding.id for wedding in found.weddings] == ["w-2"]
    [refusal] = found.refused
    assert says in refusal
    assert refusal.startswith("line ")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(client.CalendarUnreadable, match="column zone is missing"):
        client.read_csv("id,start,end,guest_count,venue_type,region\n")


def test_an_empty_calendar_holds_nothing() -> None:
    assert client.read_csv(HEADER).weddings == []


ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//
BEGIN:VEVENT
UID:w-9
DTSTART;TZID=America/Chicago:20261010T160000
DTEND;TZID=America/Chicago:20261010T220000
X-WEDOPS-GUESTS:80
X-WEDOPS-VENUE-TYPE:church
X-WEDOPS-REGION:us-south
X-WEDOPS-SUPPLIERS:s1;s2
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_an_event_becomes_a_wedding() -> None:
    [wedding] = client.read_icalendar(ICS).weddings
    assert wedding.starts_at.isoformat() == "2026-10-10T21:00:00+00:00"
    assert (wedding.zone, wedding.guest_count, wedding.region) == ("America/Chicago", 80, "us-south")


@pytest.mark.parametrize(
    ("part", "instead", "says"),
    [
        ("DTSTART;TZID=America/Chicago:20261010T160000", "DTSTART:20261010T160000", "DTSTART has no TZID"),
        ("DTSTART;TZID=America/Chicago:20261010T160000", "DTSTART;VALUE=DATE:20261010", "must be a date with a time"),
        ("DTEND;TZID=America/Chicago:20261010T220000\r\n", "", "DTEND must be a date with a time"),
        ("X-WEDOPS-GUESTS:80\r\n", "", "guest_count is missing"),
        ("DTEND;TZID=America/Chicago:", "DTEND;TZID=Europe/Paris:", "give both in the venue's zone"),
        ("END:VEVENT", "RRULE:FREQ=YEARLY\r\nEND:VEVENT", "a wedding happens once"),
        ("20261010T160000", "20261328T160000", "DTSTART"),
    ],
)
def test_a_bad_event_is_named(part: str, instead: str, says: str) -> None:
    found = client.read_icalendar(ICS.replace(part, instead))
    assert found.weddings == []
    assert says in found.refused[0]
    assert found.refused[0].startswith("event w-9")


def test_what_is_no_calendar_is_said_to_be_none() -> None:
    with pytest.raises(client.CalendarUnreadable):
        client.read_icalendar("hello")
