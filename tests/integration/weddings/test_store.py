"""The calendar in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import celery
import orjson
import pytest
from kombu.exceptions import OperationalError

from tests.made import NOON, wedding
from workers.app import app
from workers.forecasting import tasks as forecasting
from workers.foundation import clock, database, redis
from workers.weddings import keys
from workers.weddings.formats import timeline as formats
from workers.weddings.formats.rows import Reading
from workers.weddings.formats.text import CalendarUnreadable
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import regions, tables
from workers.weddings.store import weddings as store
from workers.weddings.usecases import importing as usecases
from workers.weddings.usecases import timelines

pytestmark = pytest.mark.usefixtures("world")


def _upsert(*weddings: Any) -> store.Change:
    with database.transaction() as db:
        return store.upsert(db, weddings, at=NOON)


def test_what_is_the_same_stays_untouched_and_what_changed_gets_a_version() -> None:
    first = _upsert(wedding("a"), wedding("b"))
    assert (first.added, first.changed, first.unchanged) == (2, 0, 0)
    again = _upsert(wedding("a"), wedding("b"))
    assert (again.added, again.changed, again.unchanged, again.version) == (0, 0, 2, first.version)
    moved = _upsert(wedding("a", starts_at=NOON + timedelta(days=1)), wedding("b"), wedding("c"))
    assert (moved.added, moved.changed, moved.unchanged) == (1, 1, 1)
    assert moved.version > first.version


def test_what_was_written_is_read() -> None:
    one = wedding("a", timeline={"cake": "21:30"}, supplier_ids=("s1", "s2"))
    _upsert(one)
    with database.transaction() as db:
        assert store.by_id(db, ["a", "nobody"]) == [one]
        assert store.require(db, "a") == one
        with pytest.raises(
            store.WeddingUnknown, match="wedding_id='x' is not in the calendar; import it first"
        ):
            store.require(db, "x")


def test_a_span_holds_what_overlaps_it_and_takes_place() -> None:
    _upsert(
        wedding("a"), wedding("b", status=Status.CANCELLED), wedding("c", starts_at=NOON + timedelta(hours=6))
    )
    with database.transaction() as db:
        assert [
            one.id for one in store.between(db, NOON + timedelta(hours=5), NOON + timedelta(hours=6))
        ] == ["a"]
        assert regions.bookings(db, NOON, NOON + timedelta(hours=1)) == [("us-northeast", NOON.date(), 1)]
        assert regions.known(db) == ["us-northeast"]


def test_a_calendar_of_ten_thousand_is_taken_at_once() -> None:
    many = [wedding(f"w-{number}") for number in range(10_000)]
    assert _upsert(*many).added == 10_000
    assert _upsert(*many).unchanged == 10_000


def test_an_id_that_stands_twice_is_refused_and_nothing_taken() -> None:
    with pytest.raises(CalendarUnreadable, match="id a stands more than once"):
        usecases.take(Reading([wedding("b"), wedding("a"), wedding("a", guest_count=3)]), now=clock.now())
    with database.transaction() as db:
        assert store.version_of(db) == 0


def test_taking_a_calendar_wakes_who_depends_on_it_and_lists_the_weddings() -> None:
    usecases.take(Reading([wedding("a"), wedding("b", status=Status.CANCELLED)]), now=clock.now())
    assert (redis.registry().llen("bulk"), redis.registry().llen("safety")) == (2, 1)
    assert set(redis.registry().zrange(keys.DUE, 0, -1)) == {"a", "b"}


def test_who_depends_on_the_calendar_is_woken_once_until_it_begins() -> None:
    for number in range(5):
        usecases.take(Reading([wedding(f"w-{number}")]), now=clock.now())
    sent = [orjson.loads(text)["headers"]["task"] for text in redis.registry().lrange("bulk", 0, -1)]
    assert sorted(sent) == ["forecasting.refresh", "seasons.detect"]
    assert redis.registry().llen("safety") == 1
    forecasting.refresh.push_request(woken=True)
    forecasting.refresh()
    forecasting.refresh.pop_request()
    usecases.take(Reading([wedding("w-9")]), now=clock.now())
    assert redis.registry().llen("bulk") == 2 + 1


def test_a_message_that_could_not_be_sent_keeps_nobody_else_from_waking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def _fail(*_arguments: object, **_options: object) -> None:
        raise OperationalError("full")

    with monkeypatch.context() as full:
        full.setattr(celery.Celery, "send_task", _fail)
        with pytest.raises(OperationalError):
            app.wake("seasons.detect")
    app.wake("seasons.detect")
    assert redis.registry().llen("bulk") == 1


def test_an_older_copy_of_an_event_undoes_nothing() -> None:
    usecases.take(Reading([wedding("a", status=Status.CANCELLED)], sequences={"a": 2}), now=clock.now())
    older = Reading([wedding("a"), wedding("b")], sequences={"a": 1})
    assert usecases.preview(older).outdated == {"a"}
    change = usecases.take(older, now=clock.now())
    assert (change.added, change.changed, change.outdated, change.written) == (1, 0, 1, ("b",))
    # A row of a file that counts nothing is what somebody wants now.
    assert usecases.take(Reading([wedding("a")]), now=clock.now()).changed == 1
    assert usecases.take(Reading([wedding("a")], sequences={"a": 2}), now=clock.now()).unchanged == 1


def test_a_preview_says_what_would_change_and_changes_nothing() -> None:
    _upsert(wedding("a"), wedding("b"))
    found = usecases.preview(Reading([wedding("a", guest_count=3), wedding("b"), wedding("c")]))
    assert [one.id for one in found.added] == ["c"]
    [(before, after)] = found.changed
    assert (before.guest_count, after.guest_count) == (100, 3)
    with database.transaction() as db:
        assert [one.guest_count for one in store.by_id(db, ["a", "c"])] == [100]


SHORT = [{"id": "cake", "start": "08:30"}, {"id": "ceremony", "start": "08:00", "end": "08:30"}]


def _timed(one: Wedding, *document: dict[str, object]) -> Wedding:
    return replace(one, timeline=formats.document(formats.taken(list(document), one)))


def _change(document: object, **more: object) -> int:
    with database.transaction() as db:
        return timelines.change(db, "a", document, by="ada", now=NOON, **more)


def _starts() -> list[str]:
    return [f"{one.id} {one.start:%d %H:%M}" for one in timelines.show("a").moments]


def test_a_timeline_is_changed_alone_and_stays_when_the_calendar_comes_again() -> None:
    one = _timed(wedding("a"), *SHORT)
    _upsert(one)
    before = timelines.show("a").version
    version = _change([{"id": "ceremony", "start": "09:00"}])
    assert (version > before, _starts()) == (True, ["ceremony 10 09:00"])
    assert _upsert(one).unchanged == 1, "the calendar brings what it brought before"
    assert _starts() == ["ceremony 10 09:00"]
    _upsert(replace(one, guest_count=7))
    assert _starts() == ["ceremony 10 09:00"]
    _upsert(_timed(wedding("a"), *SHORT, {"id": "bus", "start": "13:00"}))
    assert _starts() == ["ceremony 10 08:00", "cake 10 08:30", "bus 10 13:00"], "the calendar has another one"


def test_a_timeline_moves_with_its_wedding() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    _change([{"id": "ceremony", "start": "09:00"}])
    _upsert(_timed(wedding("a", starts_at=NOON + timedelta(days=7)), *SHORT))
    assert _starts() == ["ceremony 17 09:00"]


def test_versions_of_a_timeline_are_kept() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    _change([{"id": "ceremony", "start": "09:00"}])
    _upsert(replace(_timed(wedding("a"), *SHORT), guest_count=7))
    newest, first = timelines.versions("a")
    assert ([one.id for one in newest[1]], [one.id for one in first[1]]) == (
        ["ceremony"],
        ["cake", "ceremony"],
    )
    assert newest[0].known_from == NOON


def test_what_is_the_same_is_no_version_and_who_looked_earlier_changes_nothing() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    version = timelines.show("a").version
    assert _change(SHORT, expected=version) == version
    newer = _change([{"id": "ceremony", "start": "09:00"}], expected=version)
    with pytest.raises(timelines.TimelineChangedMeanwhile, match=f"of version {newer} by now, not {version}"):
        _change(SHORT, expected=version)
    with pytest.raises(formats.TimelineRefused), database.transaction() as db:
        timelines.change(db, "a", [{"id": "x"}], by="ada", now=NOON)
    assert timelines.show("a").version == newer


def test_two_who_change_a_timeline_at_once_both_do() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: _change([{"id": f"m{n}", "start": "09:00"}]), range(8)))
    assert len(set(found)) == 8
    assert timelines.show("a").version == max(found)


def test_an_older_timeline_without_moments_is_none() -> None:
    _upsert(wedding("a"))
    old = {"timeline": {"cake": "09:30", "guests": 3}, "timeline_digest": None}
    with database.transaction() as db:
        db.execute(tables.weddings.update().values(old))
    assert _starts() == ["cake 10 09:30"]
    assert _upsert(_timed(wedding("a"), *SHORT)).changed == 1


def test_what_is_changed_stays_whatever_came_before_it() -> None:
    _upsert(wedding("a"))
    with database.transaction() as db:
        db.execute(tables.weddings.update().values(timeline_digest=None))
    _change([{"id": "ceremony", "start": "09:00"}])
    assert _upsert(wedding("a")).unchanged == 1, "an earlier version did not note what the calendar brought"
    assert _starts() == ["ceremony 10 09:00"]
    one = _timed(wedding("a"), {"id": "ceremony", "start": "09:00"})
    assert _upsert(one).unchanged == 1, "the calendar brings what was changed here"
    _change([{"id": "ceremony", "start": "10:00"}])
    _upsert(one)
    assert _starts() == ["ceremony 10 10:00"]


def test_a_start_that_is_corrected_leaves_the_times_of_the_timeline() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    _change([{"id": "ceremony", "start": "09:00"}])
    _upsert(_timed(wedding("a", starts_at=NOON + timedelta(minutes=30)), *SHORT))
    assert _starts() == ["ceremony 10 09:00"]


def test_who_left_owns_nothing_of_what_was_changed_here() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    _change([{"id": "ceremony", "start": "09:00", "owner": "s1"}])
    _upsert(_timed(wedding("a", supplier_ids=("s2",)), *SHORT))
    [moment] = timelines.show("a").moments
    assert moment.owner == ""


def test_a_version_that_is_shown_is_the_one_to_change() -> None:
    _upsert(_timed(wedding("a"), *SHORT))
    _upsert(replace(_timed(wedding("a"), *SHORT), guest_count=7))
    version = timelines.show("a").version
    assert _change([{"id": "ceremony", "start": "09:00"}], expected=version) > version
