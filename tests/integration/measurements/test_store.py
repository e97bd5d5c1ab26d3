"""Points: each written once, whatever dies; rolled up, and events of objectives counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from sqlalchemy import Connection, text

from workers.foundation import clock, database, dead_letters, partitions, redis
from workers.measurements import keys
from workers.measurements.rules.objectives import MONTH, Counts, Window
from workers.measurements.rules.samples import Row, Sample
from workers.measurements.store import blocks, events, pages, points, rollups, sketches
from workers.measurements.store.points import BufferFull
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake, keeping

pytestmark = pytest.mark.usefixtures("world")

DAY = timedelta(days=1)
#: The beginning of a minute that is over.
MINUTE = int(clock.epoch()) // 60 * 60 - 120


@pytest.fixture(autouse=True)
def _begin_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this file was read is long ago in a long run."""
    monkeypatch.setitem(globals(), "MINUTE", int(clock.epoch()) // 60 * 60 - 120)


def _sample(value: float = 1.0, seconds: float = 0, name: str = "a", **labels: str) -> Sample:
    return Sample(name, tuple(labels.items()), MINUTE + seconds, value)


def _take(*samples: Sample) -> None:
    taken = intake.take(samples, sent_by=intake.Source("test"), now=clock.machine_now())
    assert taken.accepted + taken.doubles == len(samples)


def _write(writer: Writer | None = None) -> int:
    return intake.write(writer or Writer("w"))[1]


def _rows() -> list[tuple[str, float, float]]:
    start = datetime.fromtimestamp(MINUTE, UTC)
    with database.transaction() as db:
        texts: dict[int, str] = dict(db.execute(text("SELECT id, text FROM metric_series")).all())
        rows = blocks.read(db, [start + timedelta(minutes=number) for number in range(5)])
    return sorted((texts[series], at / 1e6 - MINUTE, value) for series, at, value in rows.tolist())


def test_what_is_taken_is_written_once_however_often_it_is_sent() -> None:
    _take(_sample(1.5, 0.25, region="us-west"), _sample(2.5, 1), _sample(9, 1))
    assert _write() == 3
    _take(_sample(7, 1), _sample(3.5, 2))
    writer = Writer("w")
    assert _write(writer) == 2
    assert _write(writer) == 0
    assert _rows() == [("a", 1, 2.5), ("a", 2, 3.5), ('a{region="us-west"}', 0.25, 1.5)]
    assert redis.registry().xlen(keys.STREAM) == 0


def test_what_comes_again_before_it_was_written_is_written_once() -> None:
    photos = [_sample(9, second, "photo_upload_seconds", region="us-west") for second in range(3)]
    for _ in range(3):
        _take(*photos)
    assert _write() == 9
    assert len(_rows()) == 3
    with database.transaction() as db:
        assert db.execute(text("SELECT sum(total) FROM slo_events")).scalar_one() == 3


def test_late_points_find_their_place_and_double_ones_do_not() -> None:
    writer = Writer("w")
    _take(*(_sample(second, second) for second in (5, 9)))
    _write(writer)
    _take(*(_sample(100 + second, second) for second in range(10)))
    _write(writer)
    assert [value for _, _, value in _rows()] == [100, 101, 102, 103, 104, 5, 106, 107, 108, 9]


def test_a_writer_that_dies_before_its_transaction_ends_leaves_everything_to_the_next() -> None:
    _take(_sample(1), _sample(2, 1))
    died = Writer("died")
    with database.engine().connect() as db:
        assert died.write(db).new == 2
        db.rollback()
    assert _write(Writer("next")) == 2
    assert len(_rows()) == 2


def test_one_that_dies_before_it_trims_the_stream_writes_nothing_twice() -> None:
    _take(_sample(1), _sample(2, 1))
    with database.transaction() as db:
        Writer("died").write(db)
    assert redis.registry().xlen(keys.STREAM) == 1
    assert _write(Writer("next")) == 0
    assert len(_rows()) == 2


def test_two_writers_take_turns_and_know_of_each_other() -> None:
    one, other = Writer("one"), Writer("other")
    _take(_sample(1, 1))
    _write(one)
    _take(_sample(2, 2))
    _write(other)
    _take(_sample(9, 2), _sample(3, 3))
    _write(one)
    assert [value for _, _, value in _rows()] == [1, 2, 3]
    _take(_sample(4, 4))
    with database.engine().begin() as held:
        assert one.write(held).new == 1
        with database.engine().begin() as beside:
            assert other.write(beside).new == 0


def test_a_redis_that_lost_the_stream_begins_a_new_one() -> None:
    _take(_sample(1, 1))
    _write()
    with database.transaction() as db:
        db.execute(points.positions.update().values(position="99999999999999-0"))
    _take(_sample(2, 2))
    assert _write() == 1
    assert len(_rows()) == 2


def test_a_database_that_is_too_far_behind_is_told_to_who_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_INGEST_BUFFER_MAX", "1")
    _take(_sample())
    with pytest.raises(BufferFull):
        _take(_sample())


def test_who_sends_too_much_in_a_second_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_INGEST_SAMPLES_PER_SECOND", "1")
    with pytest.raises(intake.TooManySamples):
        intake.take([_sample(), _sample(2, 1)], sent_by=intake.Source("loud"), now=clock.machine_now())


def test_minutes_become_hours_and_days_and_late_points_change_them() -> None:
    values = np.random.default_rng(7).lognormal(0, 1, 600)
    _take(*(_sample(value, second / 10) for second, value in enumerate(values.tolist())))
    _write()
    start = datetime.fromtimestamp(MINUTE, UTC)
    later = start + timedelta(days=2)
    for _ in range(3):
        keeping.roll_up(now=later)
    with database.transaction() as db:
        [minute] = rollups.history(db, "a", "minute", start, later)
        [hour] = rollups.history(db, "a", "hour", start - timedelta(hours=1), later)
        [day] = rollups.history(db, "a", "day", start - timedelta(days=1), later)
    for found in (minute, hour, day):
        assert (found.count, found.min, found.max) == (600, values.min(), values.max())
        assert found.sum == pytest.approx(values.sum())
        for q in (0.5, 0.95, 0.99):
            rank = 0.02 if q == 0.5 else 0.01
            lower, upper = np.quantile(values, [q - rank, min(1, q + rank)])
            assert lower <= found.quantile(q) <= upper
    _take(_sample(1e6, 30.05))
    _write()
    for _ in range(3):
        keeping.roll_up(now=later)
    with database.transaction() as db:
        [again] = rollups.history(db, "a", "day", start - timedelta(days=1), later)
    assert (again.count, again.max) == (601, 1e6)


def _of_many(count: int, value: float, at: float) -> None:
    _take(*(Sample("many", (("operation", f"o{number}"),), MINUTE + at, value) for number in range(count)))
    _write()


def _counts(level: str) -> dict[str, int]:
    start = datetime.fromtimestamp(MINUTE, UTC)
    with database.transaction() as db:
        known = rollups.known(db)
        found = {one: rollups.history(db, one, level, start - DAY, start + DAY) for one in known}
    return {one: summary.count for one, summaries in found.items() for summary in summaries}


def test_a_span_is_rolled_up_page_by_page_and_a_killed_run_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "WIDTH", 4)
    monkeypatch.setattr(rollups, "PAGES", 2)
    monkeypatch.setattr(rollups, "DAYS_SERIES", 4)
    _of_many(25, 1.0, 1)
    later = datetime.fromtimestamp(MINUTE, UTC) + timedelta(days=2)
    with database.transaction() as db:
        assert (minute := rollups.take(db, before=later))
        assert not rollups.roll_up(db, minute), "a minute is one"
    # The first series has the id 1, and its page three others.
    for done in (7, 15, 23):
        with database.transaction() as db:
            assert (span := rollups.take(db, before=later))
            assert rollups.roll_up(db, span)
        assert (span.level, len(_counts("hour"))) == ("hour", done)
    # What comes meanwhile for a series that is done is in the next round, and not forgotten.
    _of_many(1, 2.0, 2)
    with database.transaction() as db:
        assert (span := rollups.take(db, before=later))
        with database.unguarded() as other:
            assert (minute := rollups.take(other, before=later))
            assert minute.level == "minute", "one run works on a span"
        assert not rollups.roll_up(db, span)
    keeping.roll_up(now=later)
    for level in ("minute", "hour", "day"):
        counts = _counts(level)
        assert (len(counts), sorted(counts.values())[-2:]) == (25, [1, 2]), level
    with database.transaction() as db:
        assert rollups.take(db, before=later) is None


def test_events_of_objectives_are_counted_with_the_points_and_with_them_alone() -> None:
    photos = [
        _sample(value, second, "photo_upload_seconds", region="us-west", wedding_id="w-1")
        for second, value in enumerate((1, 9, 2))
    ]
    failed = _sample(0.1, 3, "photo_upload_seconds", region="us-west", outcome="failed")
    for _ in range(2):
        _take(*photos, failed, _sample(0, 3, "probe_ok", region="us-west"))
        _write()
    now = datetime.fromtimestamp(MINUTE + 60, UTC)
    with database.transaction() as db:
        found = {one.objective: one.counts for one in events.of_regions(db, MONTH[0], now=now)}
        [own] = events.of_weddings(db, MONTH[0], now=now, ids=["w-1", "w-2"], bad_min=1)
        events.sum_weddings(db, since=now - timedelta(days=1), at=now)
        [row] = db.execute(events.performance.select()).mappings()
        events.sum_hours(db, since=now - timedelta(hours=3))
        month = {one.objective: one.counts for one in events.month(db, now=now)}
    assert (found["photo_upload"].total_long, found["photo_upload"].bad_long) == (4, 2)
    assert (found["availability"].total_long, found["availability"].bad_long) == (1, 1)
    assert (own.scope, own.counts.total_long, own.counts.bad_long) == ("w-1", 3, 1)
    assert (row["total"], row["bad"], round(row["budget_left"], 3)) == (3, 1, pytest.approx(-332.333))
    assert month["photo_upload"].total_long == 4


#: Five minutes of the clock begin here, some of them ago.
FIVE = MINUTE // 300 * 300 - 1500


def _of_wedding(values: list[float], first: float) -> None:
    labels = {"region": "us-west", "wedding_id": "w-1"}
    at = FIVE - MINUTE + first
    _take(
        *(
            _sample(value, at + number, "photo_upload_seconds", **labels)
            for number, value in enumerate(values)
        )
    )


def _events() -> list[tuple[int, int, int]]:
    """Return the rows of the wedding as (seconds since FIVE, events, bad ones)."""
    query = "SELECT extract(epoch FROM at)::bigint, total, bad FROM wedding_slo_events ORDER BY 1, 2"
    with database.transaction() as db:
        return [(row[0] - FIVE, row[1], row[2]) for row in db.execute(text(query))]


def _window(seconds: float) -> Counts:
    """Return what the wedding counts in windows of five minutes and of one, that end so long after FIVE."""
    window = Window(timedelta(minutes=5), timedelta(minutes=1), 1.0, pages=True)
    now = datetime.fromtimestamp(FIVE + seconds, UTC)
    with database.transaction() as db:
        [own] = events.of_weddings(db, window, now=now, ids=["w-1"], bad_min=1)
    return own.counts


def test_good_events_of_a_wedding_are_counted_by_five_minutes_until_a_bad_one() -> None:
    writer = Writer("w")
    for first in (0, 100, 310):
        _of_wedding([1] * 10, first)
        writer, _ = intake.write(writer)
        assert _events() == [], "they wait"
    _of_wedding([1] * 10, 620)
    writer, _ = intake.write(writer)
    assert _events() == [(0, 20, 0)], "two times five minutes wait"
    _of_wedding([1, 9, 1, 1], 760)
    writer, _ = intake.write(writer)
    assert _events()[1:] == [(300, 10, 0), (600, 10, 0), (760, 4, 1)], "what waited, by half minutes"
    _of_wedding([1, 1], 800)
    _of_wedding([1], 20)
    writer, _ = intake.write(writer)
    assert {(800, 2, 0), (20, 1, 0)} <= set(_events()), "each is counted at once now, as late ones are"
    intake.end(writer)
    assert sum(total for _, total, _ in _events()) == 47


@pytest.mark.parametrize("begins", [0, 40, 150, 290])
def test_a_bad_event_is_seen_beside_all_that_were_good_about_it(begins: int) -> None:
    """Whenever in five minutes of the clock it comes: three of some five hundred are no page."""
    writer = Writer("w")
    for second in range(begins, begins + 330, 10):
        _of_wedding([1] * 10, second)
        writer, _ = intake.write(writer)
    _of_wedding([9] * 3, begins + 330)
    intake.write(writer)
    counts = _window(begins + 335)
    assert (counts.bad_long, counts.bad_short) == (3, 3)
    assert counts.total_long == pytest.approx(300, abs=33)
    assert counts.total_short == pytest.approx(60, abs=33)


def test_events_of_a_transaction_that_failed_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer("w")

    def _fail(*_arguments: object, **_options: object) -> None:
        raise database.DatabaseUnavailable(cause="gone")

    # Before the transaction ends, and after it.
    for number, name in enumerate(("_move", "keep")):
        _of_wedding([1] * 10, 30 * number)
        with monkeypatch.context() as away:
            away.setattr(Writer, name, _fail)
            writer, taken = intake.write(writer)
            assert taken == -1
        writer, _ = intake.write(writer)
    intake.end(writer)
    intake.end(writer)
    assert _events() == [(0, 20, 0)], "all that is there, each once"


def test_a_writer_that_takes_over_knows_which_weddings_are_counted_closely() -> None:
    _of_wedding([9] * 3, 1200)
    _write(Writer("died"))
    _of_wedding([1] * 5, 1250)
    _write(Writer("next"))
    assert _events() == [(1200, 3, 3), (1250, 5, 0)]


def test_what_is_forgotten_is_known_again_when_it_comes_back() -> None:
    writer = Writer("w")
    _of_wedding([1, 1], 0)
    writer, _ = intake.write(writer)
    writer._tidied -= 3_601
    _take(_sample(9, 2))
    writer, _ = intake.write(writer)
    assert (writer.texts, len(writer.last)) == ([], 0)
    _of_wedding([1, 1], 1)
    writer, taken = intake.write(writer)
    assert taken == 2
    intake.end(writer)
    assert sum(total for _, total, _ in _events()) == 3, "one of the two was there already"


def test_a_writer_whose_commit_was_not_answered_counts_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writer, whole = Writer("w"), database.transaction

    @contextmanager
    def _unanswered() -> Iterator[Connection]:
        with whole() as db:
            yield db
        raise database.DatabaseUnavailable(cause="the line broke")

    _of_wedding([1] * 10, 0)
    writer, _ = intake.write(writer)
    _of_wedding([1] * 20, 700)
    with monkeypatch.context() as broken:
        broken.setattr(database, "transaction", _unanswered)
        writer, taken = intake.write(writer)
        assert taken == -1
    _of_wedding([1] * 5, 1400)
    writer, _ = intake.write(writer)
    intake.end(writer)
    assert sum(total for _, total, _ in _events()) == 35


def test_an_id_that_was_given_and_rolled_back_may_become_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL gives ids of a transaction that it lost in a crash again."""
    writer = Writer("w")

    def _fail(*_arguments: object) -> None:
        raise database.DatabaseUnavailable(cause="gone")

    _take(_sample(1, 1, "photo_upload_seconds", wedding_id="w-b"))
    with monkeypatch.context() as away:
        away.setattr(events, "add_regions", _fail)
        writer, _ = intake.write(writer)
    with database.transaction() as db:
        db.execute(text("ALTER TABLE metric_series ALTER COLUMN id RESTART WITH 1"))
    _take(*(_sample(1, second, "photo_upload_seconds", wedding_id="w-a") for second in (2, 3)))
    writer, _ = intake.write(writer)
    intake.end(writer)
    with database.transaction() as db:
        found = db.execute(text("SELECT wedding_id, sum(total) FROM wedding_slo_events GROUP BY 1")).all()
    assert {(row[0], row[1]) for row in found} == {("w-a", 2), ("w-b", 1)}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_whoever_writes_and_fails_each_event_is_there_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, pushed = np.random.default_rng(seed), dict[tuple[int, int], float]()
    writers = [Writer("one"), Writer("other")]

    def _fail(*_arguments: object) -> None:
        raise database.DatabaseUnavailable(cause="gone")

    for turn in range(25):
        ats = (chance.integers(0, 1200, 8) + 10 * turn).tolist()
        labels = {"region": "us-west"}
        samples = [
            _sample(
                pushed.setdefault((at, at % 3), 9.0 if chance.random() < 0.05 else 1.0),
                FIVE - MINUTE + at, "photo_upload_seconds", wedding_id=f"w-{at % 3}", **labels,
            )
            for at in ats
        ]  # fmt: skip
        intake.take(samples, sent_by=intake.Source(f"t{turn}"), now=clock.machine_now())
        own = int(chance.integers(2))
        with monkeypatch.context() as away:
            if chance.random() < 0.3:
                away.setattr(*[(Writer, "keep"), (Writer, "_move"), (events, "add_regions")][turn % 3], _fail)
            writers[own], _ = intake.write(writers[own])
    for own in (0, 1):
        writers[own], _ = intake.write(writers[own])
        intake.end(writers[own])
    with database.transaction() as db:
        rows = blocks.read(db, [datetime.fromtimestamp(FIVE + 60 * number, UTC) for number in range(30)])
        for table in ("slo_events", "wedding_slo_events"):
            total, bad = db.execute(text(f"SELECT sum(total), sum(bad) FROM {table}")).one()  # noqa: S608
            assert (total, bad) == (len(pushed), sum(value > 5 for value in pushed.values())), table
    assert len(rows) == len(pushed)


def test_points_that_are_being_written_are_in_the_roll_up_or_in_the_next() -> None:
    _take(_sample(1, 1))
    _write()
    start = datetime.fromtimestamp(MINUTE, UTC)
    _take(_sample(2, 2))
    with database.unguarded() as db:
        Writer("two").write(db)
        # It is written and not committed: who would take the minute now would not see it.
        with database.unguarded() as beside:
            assert rollups.take(beside, before=start + DAY) is None
    keeping.roll_up(now=start + 2 * DAY)
    with database.transaction() as db:
        for level in rollups.SPANS:
            [found] = rollups.history(db, "a", level, start - DAY, start + DAY)
            assert found.count == 2, level


def test_what_the_version_before_wrote_is_read_until_it_is_dropped() -> None:
    """A point a row, and a minute of a series a row: it may write on beside us while it is replaced."""
    start, sketch = datetime.fromtimestamp(MINUTE, UTC), sketches.of_values(np.array([1.0, 2.0]))
    _take(_sample(1, 1), _sample(2, 2))
    _write()
    with database.transaction() as db:
        [own] = db.execute(text("SELECT id FROM metric_series")).scalars()
        for table in ("metric_points", "metric_minutes"):
            partitions.make(db, table, [start.date() - DAY, start.date()])
        db.execute(
            text("INSERT INTO metric_points VALUES (:own, :at, 7)"),
            {"own": own, "at": start + timedelta(seconds=3)},
        )
        former = text("INSERT INTO metric_minutes VALUES (:own, :at, 2, 3, 1, 2, :sketch)")
        db.execute(former, {"own": own, "at": start - timedelta(minutes=1), "sketch": sketch})
        db.execute(former, {"own": own, "at": start, "sketch": sketch})
    _take(_sample(9, 3))
    assert intake.write(Writer("w"))[1] == 1
    assert _rows() == [("a", 1, 1), ("a", 2, 2), ("a", 3, 7)], "the point that is there came again"
    keeping.roll_up(now=start + timedelta(hours=3))
    with database.transaction() as db:
        found = rollups.history(db, "a", "minute", start - timedelta(hours=1), start + timedelta(hours=1))
        [hour] = rollups.history(db, "a", "hour", start - timedelta(hours=1), start + timedelta(hours=1))
    assert [(one.count, one.sum) for one in found] == [(2, 3), (3, 10)]
    assert (hour.count, hour.max) == (3, 7)


def test_a_series_of_which_nothing_is_left_is_dropped() -> None:
    _take(_sample(1, 1), _sample(1, 1, "b"))
    _write()
    now = clock.machine_now()
    with database.transaction() as db:
        db.execute(
            text("UPDATE metric_series SET heard_on = :day WHERE text = 'b'"),
            {"day": now.date() - 1108 * DAY},
        )
        keeping.retain(db, now=now)
        assert rollups.known(db) == ["a"]


def test_a_day_without_partition_is_noticed_and_made() -> None:
    with database.transaction() as db:
        keeping.retain(db, now=clock.machine_now())
        assert keeping.missing_partitions(db, now=clock.machine_now()) == []
        assert "metric_blocks" in keeping.missing_partitions(db, now=clock.machine_now() + timedelta(days=9))
        days = partitions.known(db, blocks.BLOCKS)
    assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=1)}


def _row(series: int = 0, at: float | None = None, value: float = 1.0) -> bytes:
    moment = int((clock.epoch() if at is None else at) * 1e6)
    return np.array([(series, moment, value)], Row).tobytes()


@pytest.mark.parametrize(
    "block",
    [
        {"x": b"y"},
        {"s": b"not json", "r": _row()},
        {"s": b'{"a": 1}', "r": _row()},
        {"s": b"[1]", "r": _row()},
        {"s": b'["a\\u0000"]', "r": _row()},
        {"s": b'["' + b"a" * 5000 + b'"]', "r": _row()},
        {"s": b'["a"]', "r": b"cut"},
        {"s": b'["a"]', "r": _row(series=1)},
        {"s": b'["a"]', "r": _row(series=-1)},
        {"s": b'["a"]', "r": _row(at=9e12)},
        {"s": b'["a"]', "r": _row(at=-9e12)},
        {"s": b'["a"]', "r": _row(value=float("nan"))},
        {"s": b'["a"]', "r": _row(value=float("inf"))},
    ],
)
def test_a_block_that_is_none_of_ours_is_refused_and_holds_up_nobody(block: dict[str, bytes]) -> None:
    redis.undecoded().xadd(keys.STREAM, block)
    _take(_sample(1.5, 1))
    assert _write() == 1
    assert redis.registry().xlen(keys.STREAM) == 0
    assert [one.reason for one in dead_letters.newest()] == ["it is no block of samples"]
