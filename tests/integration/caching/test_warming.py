"""Warm before people come, worth it, and out of the way of who is there already."""

from collections.abc import Sequence
from datetime import timedelta
from unittest.mock import Mock

import pytest

from tests.integration.caching.made import end_processes, fail, process
from tests.made import NOON, eventually, wedding
from workers.caching import keys, tasks
from workers.caching.rules.kinds import Kind
from workers.caching.store import pending, results, server, watches
from workers.caching.store.layers import layers
from workers.caching.store.local import Key
from workers.caching.usecases import changing, maintenance, reading, sources, warming
from workers.commands.store import requests as commands
from workers.foundation import clock, database, redis
from workers.foundation.moments import MachineMoment
from workers.weddings.rules.calendar import Status, Wedding
from workers.weddings.store import weddings

ALL = 4 + 2 + 2  # wedding, three roles, two suppliers' subscriptions and data


@pytest.fixture(autouse=True)
def calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    assert eventually(lambda: layers().changes.connected)
    layers().tally.flush(now=NOON)
    _import(wedding("w-1", duties={"s1": {"type": "florist"}}))
    changing.forget_changed()


def _import(*calendar: Wedding) -> None:
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=NOON)


def _later() -> MachineMoment:
    """Return a moment at which all that was warmed has expired."""
    return MachineMoment(clock.machine_now() + timedelta(hours=13))


def _details() -> list[dict[str, object]]:
    with database.transaction() as db:
        return [row["detail"] for row in results.of_wedding(db, "w-1")]


def test_a_wedding_is_warmed_up_by_request_and_its_result_recorded_once() -> None:
    for _ in range(2):
        tasks.warm_up(wedding_id="w-1", request_key="k")
        tasks.warm()
    with database.transaction() as db:
        assert results.count(db, results.WARM_UP) == 1
        assert commands.waiting(db) == 0
    assert layers().get(Kind.WEDDING, ("w-1",), fail).value["guest_count"] == 100
    for supplier, own in (("s1", ["wedding:w-1", "wedding:w-1:florist"]), ("s2", ["wedding:w-1"])):
        found = layers().get(Kind.SUBSCRIPTION, ("w-1", "vendor", supplier), fail)
        assert found.value["channels"] == own
    assert layers().get(Kind.USER, ("s1",), fail).value["weddings"][0]["type"] == "florist"
    assert _details()[0]["entries"] == ALL


def test_what_is_warmed_lives_until_its_people_have_come() -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    lives = redis.cache_server().pttl(keys.ENTRIES + "wedding:w-1") / 3_600_000
    assert 3.1 < lives < 3.5
    assert pending.count() == 0
    warming.request({"k2": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    assert [row["entries"] for row in _details()] == [0, ALL], "what lives long enough is not loaded again"
    warming.request({"k3": ("w-1", NOON + timedelta(hours=9))}, "wedding_day")
    tasks.warm()
    assert _details()[0]["entries"] == ALL


def test_a_supplier_of_two_weddings_is_loaded_once_for_as_long_as_both_want_it() -> None:
    _import(wedding("w-2"))
    later = NOON + timedelta(hours=9)
    warming.request({"k": ("w-1", NOON + timedelta(hours=3)), "k2": ("w-2", later)}, "wedding_day")
    tasks.warm()
    assert pending.count() == 0
    assert redis.cache_server().pttl(keys.ENTRIES + "user:s1") / 3_600_000 > 9


def test_one_that_cannot_be_warmed_up_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    _import(wedding("w-2"))
    load_all = warming.sources.load_all

    def _fails(db: object, names: Sequence[Key], **more: object) -> object:
        if any("w-1" in ids for _, ids in names):
            raise ValueError("of w-1 something is odd")
        return load_all(db, names, **more)

    monkeypatch.setattr(warming.sources, "load_all", _fails)
    warming.request({"k": ("w-1", NOON + timedelta(hours=3)), "k2": ("w-2", NOON)}, "wedding_day")
    tasks.warm()
    assert pending.count() == 0
    assert redis.cache_server().exists(keys.ENTRIES + "wedding:w-2")


def test_one_of_which_nothing_could_be_written_still_waits() -> None:
    names = [
        keys.name(*key) for own in sources.classes_of(wedding("w-1"), ("s1", "s2")).values() for key in own
    ]
    server.take(dict.fromkeys(names, ""), "another", lasts_ms=60_000)
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    assert pending.count() == 1
    server.drop_leases(names, "another")
    tasks.warm()
    assert (pending.count(), _details()[0]["entries"]) == (0, ALL)


def test_what_another_version_wrote_keeps_no_warm_up_waiting() -> None:
    redis.registry().zadd(keys.PENDING, {'{"of": "another form"}': 0, "nonsense": 1})
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    tasks.warm()
    assert (pending.count(), _details()[0]["entries"]) == (0, ALL)


def test_what_nobody_came_for_teaches_nothing_and_a_season_raises_no_alert() -> None:
    warming.request({"x/season/y": ("w-1", NOON)}, "asked")
    tasks.warm()
    with database.transaction() as db:
        assert warming.evaluate(db, machine=_later()) == {}
        assert warming.rules.shares(warming._past(db)) == {}
    assert _details()[0]["precision"] == 0.0


def test_precision_and_recall_are_known_of_each() -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    reading.wedding("w-1")
    reading.read(Kind.SUBSCRIPTION, "w-1", "guest")
    for _ in range(6):
        reading.read(Kind.SUBSCRIPTION, "w-1", "vendor", "gone")
    redis.cache_server().fcall("wedops_cached", 0, "user:s1", "subscription:w-1:vendor:s1")
    layers().tally.flush(now=NOON)
    with database.transaction() as db:
        found = warming.evaluate(db, machine=_later())["w-1"]
    assert found.precision == 4 / ALL
    assert found.recall == pytest.approx(9 / 10), "who does not work there is missed once, by who loads it"
    assert _details()[0]["precision"] == 0.5
    assert not redis.cache_server().exists(keys.WATCHED + "w-1", keys.READ + "w-1")


def test_a_wedding_that_is_warmed_up_again_is_watched_on_under_the_new_key() -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    redis.cache_server().fcall("wedops_cached", 0, "wedding:w-1")
    redis.cache_server().delete(keys.ENTRIES + "user:s1")
    warming.request({"again": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    with database.transaction() as db:
        assert warming.evaluate(db, machine=_later())["w-1"].precision == 1 / ALL
    newest, first = _details()
    assert (newest["entries"], newest["precision"]) == (1, 1 / ALL)
    assert (first["entries"], first["continued_by"]) == (ALL, "warm_up/again")


def test_a_warm_up_that_died_before_it_was_remembered_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    with monkeypatch.context() as dies:
        dies.setattr(warming, "_remember", Mock(side_effect=SystemExit))
        with pytest.raises(SystemExit):
            tasks.warm.run()
    tasks.warm()
    redis.cache_server().fcall("wedops_cached", 0, "wedding:w-1")
    with database.transaction() as db:
        assert warming.evaluate(db, machine=_later())["w-1"].precision == 1 / ALL


def test_a_warm_up_that_is_never_read_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    tasks.warm()
    later = _later()
    monkeypatch.setattr(clock, "machine_now", lambda: later)
    tasks.expire()
    assert maintenance.condition().unread == ("w-1",)
    assert _details()[0]["precision"] == 0


def test_it_stops_while_users_have_much_to_load_and_goes_on_after(monkeypatch: pytest.MonkeyPatch) -> None:
    warming.request({"k": ("w-1", NOON + timedelta(hours=3))}, "wedding_day")
    with monkeypatch.context() as busy:
        busy.setattr(warming.Pace, "is_users_turn", lambda _self: True)
        tasks.warm()
    assert pending.count() == 1
    assert _details() == []
    tasks.warm()
    assert pending.count() == 0
    assert _details()[0]["of"] == ALL


def test_users_turn_is_known_by_what_their_reads_had_to_load() -> None:
    pace = warming.Pace(layers().policy)
    pace.since -= 2
    assert not pace.is_users_turn()
    server.note([("", f"wedding:w-{n}", 0, 0, 1, 0) for n in range(200)])
    pace.since -= 2
    assert pace.is_users_turn()


def test_after_a_server_was_lost_those_near_are_warmed_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON - timedelta(hours=1))
    tasks.warm()
    redis.registry().set(keys.WARMED_SERVER, "another")
    tasks.warm()
    assert [row["why"] for row in _details()] == ["server_lost"]


def test_a_change_of_the_calendar_reaches_all_that_is_cached() -> None:
    tasks.warm_up(wedding_id="w-1", request_key="k")
    tasks.warm()
    assert reading.wedding("w-1").value["guest_count"] == 100
    _import(wedding("w-1", guest_count=170, supplier_ids=("s2", "s3")))
    tasks.forget()
    assert reading.wedding("w-1").value["guest_count"] == 170
    assert reading.read(Kind.SUBSCRIPTION, "w-1", "vendor", "s1").value is None, "who left is known to have"
    assert reading.read(Kind.USER, "s1").value["weddings"] == []
    assert reading.read(Kind.USER, "s3").value["weddings"][0]["wedding_id"] == "w-1"
    assert changing.forget_changed() == 0


def test_a_server_that_missed_changes_is_brought_up_from_its_own_mark() -> None:
    reading.wedding("w-1")
    mark = redis.cache_server().get(keys.MARK)
    text = redis.cache_server(decode=False).get(keys.ENTRIES + "wedding:w-1")
    _import(wedding("w-1", status=Status.CANCELLED))
    tasks.forget()
    # A replica that lagged behind is promoted.
    redis.cache_server().set(keys.ENTRIES + "wedding:w-1", text, px=60_000)
    redis.cache_server().set(keys.MARK, mark)
    tasks.forget()
    assert not redis.cache_server().exists(keys.ENTRIES + "wedding:w-1")
    redis.cache_server().delete(keys.MARK)
    assert changing.forget_changed() == 0, "who had to evict its mark goes on from the copy"


def test_a_season_of_changes_is_taken_out_in_batches() -> None:
    _import(*(wedding(f"b-{n}") for n in range(450)))
    assert changing.forget_changed() == 450


def test_an_invalidation_that_was_lost_is_found_and_mended() -> None:
    reading.wedding("w-1")
    _import(wedding("w-1", guest_count=170))
    with database.transaction() as db:
        version = weddings.version_of(db)
    redis.cache_server().set(keys.MARK, f"{version}/w-1")
    for _ in range(5):
        found = maintenance.compare(now=NOON, machine=clock.machine_now())
        if found.stale:
            break
    assert (found.stale, found.share > 0) == (1, True)
    assert reading.wedding("w-1").value["guest_count"] == 170
    assert maintenance.compare(now=NOON, machine=clock.machine_now()).stale == 0


@pytest.mark.parametrize("facts", [{"supplier_ids": ("s2",)}, {"status": Status.CANCELLED}])
def test_a_supplier_who_left_is_found_when_no_change_said_so(facts: dict[str, object]) -> None:
    assert reading.read(Kind.USER, "s1").value["weddings"]
    _import(wedding("w-1", **facts))
    with database.transaction() as db:
        redis.cache_server().set(keys.MARK, f"{weddings.version_of(db)}/w-1")
    assert maintenance.compare(now=NOON, machine=clock.machine_now()).stale == 1
    assert reading.read(Kind.USER, "s1").value["weddings"] == []


def test_a_calendar_that_was_restored_is_what_everybody_reads() -> None:
    other = process()
    _import(wedding("w-1", guest_count=170))
    tasks.forget()
    assert reading.wedding("w-1").value["guest_count"] == 170
    assert other.get(Kind.WEDDING, ("w-1",), fail).value["guest_count"] == 170
    with database.transaction() as db:
        db.exec_driver_sql("UPDATE weddings SET version = 1, guest_count = 100")
    tasks.forget()
    assert eventually(lambda: reading.wedding("w-1").value["guest_count"] == 100)
    assert eventually(lambda: not other.local.copies)
    end_processes()


def test_the_cache_is_emptied_in_all_processes() -> None:
    reading.wedding("w-1")
    changing.clear()
    assert not redis.cache_server().exists(keys.ENTRIES + "wedding:w-1")
    assert eventually(lambda: not layers().local.copies)


def test_what_our_own_processes_refuse_is_an_alert() -> None:
    redis.cache_server().set(keys.ENTRIES + "wedding:w-1", "w1 nonsense")
    reading.wedding("w-1")
    layers().tally.flush(now=NOON)
    tasks.expire()
    assert maintenance.condition().poisoned == 1


def test_what_was_hot_cools_down() -> None:
    redis.cache_server().zadd(keys.HOT, {"wedding:w-1": 8})
    tasks.expire()
    assert server.hottest(1) == [("wedding:w-1", 4.0)]


def test_a_finding_of_another_version_says_nothing() -> None:
    redis.cache_server().hset(keys.FINDINGS, "structure", '{"found": {"other": 1}, "at": 9e12}')
    assert maintenance.condition().structure is None
    tasks.inspect()
    assert maintenance.condition().structure


def test_maintenance_mends_what_would_never_expire_and_what_is_none_of_ours() -> None:
    reading.wedding("w-1")
    redis.cache_server().persist(keys.ENTRIES + "wedding:w-1")
    redis.cache_server().set(keys.ENTRIES + "wedding:w-9", "1")
    redis.cache_server().set(keys.ENTRIES + "nonsense", "1")
    redis.cache_server().set(keys.LOADING + "wedding:w-9", "who died")
    found = maintenance.inspect(machine=clock.machine_now())
    assert (found.unbounded, found.orphans, found.sampled) == (2, 2, 3)
    assert found.kinds["wedding"].entries == 1
    assert maintenance.condition().poisoned == 2
    again = maintenance.inspect(machine=clock.machine_now())
    assert (again.unbounded, again.orphans) == (0, 0)
    tasks.inspect()
    tasks.compare()


def test_who_is_close_by_is_a_class_of_its_own() -> None:
    assert watches.class_of("subscription:w-1:vendor:s-1") == "subscription/vendor"
    assert watches.class_of("wedding:w-1") == "wedding"
