"""Calendars from outside, good and bad."""

from datetime import UTC, datetime
from pathlib import Path

import icalendar as icalendar_library
import pytest

from tests import ROOT
from workers.weddings.formats import file as formats
from workers.weddings.formats import zones
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.rules.calendar import Status

HEADER = "id,start,end,zone,guest_count,venue_type,region,status,supplier_ids,timeline\n"
CASES = ROOT / "tests" / "cases"
GOOD = "w-1,2026-10-10T15:00,2026-10-10T21:00,America/New_York,120,garden,us-northeast,confirmed,s1;s2,\n"


def _csv(text: str) -> Reading:
    return formats.read("season.csv", text.encode())


def _ics(text: str) -> Reading:
    return formats.read("season.ics", text.encode())


def test_a_row_becomes_a_wedding() -> None:
    found = _csv("\ufeff" + HEADER + GOOD)
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
        (
            "America/New_York",
            "EST/Nowhere",
            "zone='EST/Nowhere' is no IANA zone; use a name such as America/New_York",
        ),
        ("2026-10-10T15:00", "2026-03-08T02:30", "does not exist in America/New_York"),
        ("2026-10-10T15:00", "2026-13-40", "start='2026-13-40' is a date without a time"),
        ("2026-10-10T15:00", "2026-10-10T15:00+02:00", "has an offset"),
        ("2026-10-10T21:00", "2026-10-10T14:00", "end=2026-10-10T14:00 must be after start"),
        ("2026-10-10T21:00", "2026-10-19T14:00", "by at most 4 days"),
        ("garden", "castle", "venue_type='castle' is none of outdoor, church"),
        ("confirmed", "maybe", "status='maybe' is none of planned, confirmed, cancelled"),
        ("w-1", "w 1{x}", "id='w 1{x}': use 1-128 letters"),
        ("s1;s2", "s1;s\n2", "supplier_ids"),
        ("s1;s2,", "s1;s2,[1]", "timeline must be a JSON object"),
        ("s1;s2,", "s1;s2,{oops", "timeline is no JSON"),
        ("w-1", "w:1", "id='w:1': use 1-128 letters"),
        ("w-1", "ops", "id='ops' is reserved"),
        ("w-1", "\x1b[31mw", "id='\\x1b[31mw': use 1-128 letters"),
        ("2026-10-10T15:00", "2026-10-10", "start='2026-10-10' is a date without a time"),
        ("2026-10-10T15:00", "2026-W41-6", "is a date without a time"),
        ("2026-10-10T15:00", "10/10/2026 3:00 PM", "is no time; write local wall time"),
        ("s1;s2,", "s1;s2,,cancelled", "'cancelled' is in no column: there are 10"),
        ("confirmed,s1;s2,", "cancelled", "it has 8 fields, the header 10"),
    ],
)
def test_a_bad_field_is_named_with_its_remedy_and_the_other_rows_are_taken(
    field: str, value: str, says: str
) -> None:
    bad = GOOD.replace(field, f'"{value}"' if "\n" in value else value, 1)
    found = _csv(HEADER + bad + GOOD.replace("w-1", "w-2"))
    assert [wedding.id for wedding in found.weddings] == ["w-2"]
    [refusal] = found.refused
    assert says in refusal
    assert refusal.startswith("line ")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(CalendarUnreadable, match="column zone is missing"):
        _csv("id,start,end,guest_count,venue_type,region\n")


def test_a_calendar_without_a_row_is_refused() -> None:
    with pytest.raises(CalendarUnreadable, match="no row follows the header"):
        _csv(HEADER + ",,,,,,,,,\n\n")


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
    [wedding] = _ics(ICS).weddings
    assert wedding.starts_at.isoformat() == "2026-10-10T21:00:00+00:00"
    assert (wedding.zone, wedding.guest_count, wedding.region) == ("America/Chicago", 80, "us-south")


@pytest.mark.parametrize(
    ("part", "instead", "says"),
    [
        ("DTSTART;TZID=America/Chicago:20261010T160000", "DTSTART:20261010T160000", "DTSTART has no TZID"),
        (
            "DTSTART;TZID=America/Chicago:20261010T160000",
            "DTSTART;VALUE=DATE:20261010",
            "must be a date with a time",
        ),
        ("DTEND;TZID=America/Chicago:20261010T220000\r\n", "", "the end is missing"),
        ("X-WEDOPS-GUESTS:80\r\n", "", "guest_count is missing"),
        ("DTEND;TZID=America/Chicago:", "DTEND;TZID=Europe/Paris:", "give both in the venue's zone"),
        ("END:VEVENT", "RRULE:FREQ=YEARLY\r\nEND:VEVENT", "a wedding happens once"),
        ("20261010T160000", "20261328T160000", "DTSTART"),
    ],
)
def test_a_bad_event_is_named(part: str, instead: str, says: str) -> None:
    found = _ics(ICS.replace(part, instead))
    assert found.weddings == []
    assert says in found.refused[0]
    assert found.refused[0].startswith("event w-9")


def test_what_is_no_calendar_is_said_to_be_none() -> None:
    with pytest.raises(CalendarUnreadable):
        _ics("hello")


@pytest.mark.parametrize(
    ("file", "taken", "refused"),
    [
        ("01-windows-zone/input.ics", {"c01-a": "America/New_York", "c01-b": "Europe/Berlin"}, []),
        ("01-windows-zone/with-vtimezone.ics", {"c01-c": "America/New_York"}, []),
        ("04-bom/input.ics", 1, []),
        ("05-duration/input.ics", {"c05": "America/Chicago"}, []),
        ("06-no-end/input.ics", 0, ["the end is missing; give DTEND or DURATION"]),
        ("08-tzid-and-z/input.ics", 0, ["DTSTART says two things"]),
        ("09-two-calendars/input.ics", 2, []),
        (
            "14-broken-line/input.ics",
            ["c14-b", "c14-c"],
            ["event c14-a (line 4): line 9: 'STATUS CANCELLED' is no"],
        ),
        ("15-rdate/input.ics", 0, ["RDATE: a wedding happens once"]),
        ("17-fold-in-character/input.ics", 1, []),
        (
            "18-cut-off/input.ics",
            ["c18-a"],
            ["line 1: the file ends in the middle", "event c18-b (line 13): the file ends"],
        ),
        (
            "19-end-lost/input.ics",
            ["c19-b", "c19-c"],
            ["event c19-a (line 4): END:VEVENT is missing before line 12"],
        ),
        ("54-wedding-id-across-rooms/input.ics", ["20270612T160000-c54@example.com", "202706121600"], []),
        ("58-two-tzids/input.ics", 0, ["the VTIMEZONE in line 4 must have one TZID"]),
        ("26-csv-semicolon/input.csv", ["c26"], []),
        ("30-csv-trailing-commas/input.csv", ["c30"], []),
        ("32-csv-date-only/input.csv", 0, ["is a date without a time", "is a date without a time"]),
        ("55-csv-est/input.csv", ["c55", "c55-mst", "c55-gmt"], []),
    ],
)
def test_files_of_people_who_import_calendars(file: str, taken: object, refused: list[str]) -> None:
    found = formats.read(file, (CASES / file).read_bytes())
    ids = [wedding.id for wedding in found.weddings]
    assert taken in (len(ids), ids, {wedding.id: wedding.zone for wedding in found.weddings})
    assert len(found.refused) == len(refused)
    for line, says in zip(found.refused, refused, strict=True):
        assert says in line


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ("11-method-cancel/2-cancel.ics", Status.CANCELLED),
        ("12-canceled/2-canceled.ics", Status.CANCELLED),
        ("29-csv-header-spaces/optional-2-cancelled.csv", Status.CANCELLED),
        ("29-csv-header-spaces/required.csv", Status.CONFIRMED),
    ],
)
def test_a_cancellation_is_one(file: str, status: Status) -> None:
    [wedding] = formats.read(file, (CASES / file).read_bytes()).weddings
    assert wedding.status is status


def test_what_is_no_calendar_says_what_it_is() -> None:
    with pytest.raises(CalendarUnreadable, match="Excel workbook"):
        formats.read("season.csv", (CASES / "56-xlsx-and-zip/season.xlsx").read_bytes())
    with pytest.raises(CalendarUnreadable, match="it begins with '<!DOCTYPE html>'"):
        _ics("<!DOCTYPE html>\n<title>Log in</title>")
    with pytest.raises(CalendarUnreadable, match="no event .* is in it: it holds VTODO"):
        _ics("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR")
    with pytest.raises(
        CalendarUnreadable,
        match="column id, start.* the header, read with commas between columns, has 'name'",
    ):
        _csv("name,day\nAda,Saturday\n")
    with pytest.raises(CalendarUnreadable, match="column 'stauts' is unknown; did you mean status"):
        _csv(HEADER.replace("status", "stauts") + GOOD)
    with pytest.raises(CalendarUnreadable, match="column region stands more than once"):
        _csv(HEADER.replace("status", "Region ") + GOOD)
    with pytest.raises(CalendarUnreadable, match="in the row that begins in line 2"):
        _csv(HEADER + '"' + GOOD)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_ends_are_recognised(encoding: str, delimiter: str, end: str) -> None:
    text = (HEADER.replace("timeline", "Ort des Caf\u00e9s") + GOOD.replace("s1;s2", "s1")).replace(
        ",", delimiter
    )
    found = formats.read("season.csv", text.replace("\n", end).encode(encoding))
    assert [wedding.guest_count for wedding in found.weddings] == [120]
    assert bool(found.remarks) == (delimiter != "," or encoding == "cp1252")
    assert "is not read" in found.notes[0]


def test_a_first_line_may_name_the_delimiter() -> None:
    found = _csv(
        "sep=;\n"
        + HEADER.replace(",", ";")
        + GOOD.replace("s1;s2", "s1").replace(",", ";").replace("120", "-1")
    )
    assert found.refused[0].startswith("line 3 (w-1): guest_count='-1'")


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        ("STATUS:POSTPONED", "STATUS:POSTPONED is none of"),
        ("STATUS:CONFIRMED\r\nSTATUS:CANCELLED", "STATUS stands more than once (lines 12 and 13)"),
        ("UID:other", "UID stands more than once"),
        ("EXDATE;TZID=America/Chicago:20261017T160000", "EXDATE: a wedding happens once"),
        ("RECURRENCE-ID;TZID=America/Chicago:20261010T160000", "RECURRENCE-ID: a wedding happens once"),
        ("DURATION:PT6H", "DTEND and DURATION both stand there"),
        ("SEQUENCE:soon", "SEQUENCE:soon is no whole number"),
        ("X-WEDOPS-TIMELINE:[1]", "timeline must be a JSON object"),
        ("no colon at all", "line 12: 'no colon at all' is no content line"),
        ('STATUS;X="a"b":CANCELLED', "line 12"),
        ("BEGIN:VALARM\r\nDURATION:PT5M", "END:VALARM is missing"),
    ],
)
def test_a_line_that_says_what_we_do_not_know_is_not_passed_over_in_silence(instead: str, says: str) -> None:
    found = _ics(ICS.replace("END:VEVENT", f"{instead}\r\nEND:VEVENT"))
    assert found.weddings == []
    assert says in found.refused[0]


@pytest.mark.parametrize("method", ["REPLY", "COUNTER", "REFRESH", "DECLINECOUNTER", "NONSENSE"])
def test_a_calendar_that_is_an_answer_is_refused(method: str) -> None:
    found = _ics(ICS.replace("VERSION:2.0", f"VERSION:2.0\r\nMETHOD:{method}"))
    assert not found.weddings
    assert f"METHOD:{method}" in found.refused[0]


def test_one_bad_event_costs_one_event_and_what_is_passed_over_is_said() -> None:
    event = ICS[ICS.index("BEGIN:VEVENT") : ICS.index("END:VCALENDAR")]
    broken = event.replace("w-9", "w-8").replace("DTEND", "DTFIN")
    noted = event.replace("w-9", "w-7").replace(
        "END:VEVENT", 'X-WEDOPS-GUEST:90\r\nSUMMARY;X="he "yes"":hers\r\nEND:VEVENT'
    )
    found = _ics(ICS.replace(event, event + broken + noted))
    assert [wedding.id for wedding in found.weddings] == ["w-9", "w-7"]
    assert found.refused == ["event w-8 (line 13): the end is missing; give DTEND or DURATION"]
    assert [note.partition(": line")[0] for note in found.notes] == ["event w-7 (line 22)"] * 2


def test_of_one_event_the_newest_revision_counts() -> None:
    event = ICS[ICS.index("BEGIN:VEVENT") : ICS.index("END:VCALENDAR")]
    newer = event.replace("END:VEVENT", "SEQUENCE:3\r\nSTATUS:CANCELLED\r\nEND:VEVENT")
    for both in (event + newer, newer + event):
        found = _ics(ICS.replace(event, both))
        assert [wedding.status for wedding in found.weddings] == [Status.CANCELLED]
        assert found.sequences == {"w-9": 3}
        assert len(found.notes) == 1
    assert _ics(ICS.replace(event, event + event)).twice() == ["w-9 event w-9 (line 13) event w-9 (line 4)"]


@pytest.mark.parametrize(
    ("lasts", "ends"),
    [
        ("PT6H", "2026-11-01T05:00:00+00:00"),
        ("P1D", "2026-11-02T00:00:00+00:00"),
        ("P1DT1H", "2026-11-02T01:00:00+00:00"),
    ],
)
def test_days_last_by_the_wall_clock_and_hours_by_what_passes(lasts: str, ends: str) -> None:
    text = ICS.replace("DTEND;TZID=America/Chicago:20261010T220000", f"DURATION:{lasts}").replace(
        "20261010T160000", "20261031T180000"
    )
    [wedding] = _ics(text).weddings
    assert wedding.starts_at == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert wedding.ends_at.isoformat() == ends


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("/freeassociation.sourceforge.net/America/Indiana/Knox", "America/Indiana/Knox"),
        ("/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin"),
        ('"Central Standard Time"', "America/Chicago"),
        ("america/new_york", "America/New_York"),
        ("Customized Time Zone", "Customized Time Zone"),
    ],
)
def test_names_of_zones(name: str, zone: str) -> None:
    assert zones.iana(name) == zone


def test_a_zone_without_summer_time_is_warned_of() -> None:
    assert [
        "is a fixed offset" in note for note in _csv(HEADER + GOOD.replace("America/New_York", "EST")).notes
    ] == [True]
    assert not _csv(HEADER + GOOD.replace("America/New_York", "America/Phoenix")).notes


PUBLIC = sorted((Path(str(icalendar_library.__file__)).parent / "tests").rglob("*.ics"))


def test_public_calendars_are_read_or_refused_in_our_words() -> None:
    assert len(PUBLIC) > 150
    for path in PUBLIC:
        try:
            found = formats.read(path.name, path.read_bytes())
        except CalendarUnreadable:
            continue
        assert found.refused or found.weddings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
def test_a_file_is_known_by_what_it_begins_with_however_long_it_is(encoding: str) -> None:
    # Characters of two units each, so that no place in the middle is safe to cut.
    text = ICS.replace("UID:w-9", "SUMMARY:" + "\U0001f492" * 3000 + "\r\nUID:w-9")
    assert [one.id for one in formats.read("export.txt", text.encode(encoding)).weddings] == ["w-9"]


def test_a_nul_is_no_text_in_any_encoding() -> None:
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(CalendarUnreadable, match="is NUL"):
            formats.read("season.ics", ICS.replace("w-9", "w\0-9").encode(encoding))
