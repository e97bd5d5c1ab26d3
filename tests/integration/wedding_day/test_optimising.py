"""Optimising for weddings on real servers: what is done when, what it did, what is undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from redis.exceptions import ConnectionError as NotConnected
from sqlalchemy import text
from websockets.sync.server import serve

from tests.made import NOON, wedding
from workers.caching.store import results
from workers.caching.usecases import showing, warming
from workers.cli.main import wedops
from workers.commands.usecases import commands
from workers.connections.usecases import suppliers
from workers.foundation import clock, database, redis, slow_statements
from workers.foundation.moments import MachineMoment, Moment
from workers.wedding_day import tasks
from workers.wedding_day.rules.optimising import Step
from workers.wedding_day.store import diagnosis
from workers.wedding_day.usecases import databases, optimising
from workers.weddings.store import weddings

ONE = wedding("w-1")


def _at(hours: float) -> Moment:
    return Moment(NOON + timedelta(hours=hours))


def _machine() -> MachineMoment:
    return clock.machine_now()


@pytest.fixture(autouse=True)
def _calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(-24))
    _put(ONE)


def _put(*many: Any) -> None:
    with database.transaction() as db:
        weddings.upsert(db, list(many), at=_at(-500))


def _rows(kind: Step | None = None) -> list[dict[str, Any]]:
    with database.transaction() as db:
        rows = db.execute(text("SELECT * FROM optimization_results ORDER BY id")).mappings().all()
    return [dict(row) for row in rows if kind in (None, row["kind"])]


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["weddings", "optimise", *words])


def test_each_mark_is_done_once() -> None:
    done = [
        optimising.optimise(now=_at(hours), machine=_machine())
        for hours in (-200, -7 * 24, -7 * 24 + 0.5, -24, -23.9, -2)
    ]
    assert done == [0, 1, 0, 1, 0, 1]
    assert [row["key"].split("/")[1] for row in _rows() if row["wedding_id"]] == ["7d", "24h", "2h"]
    assert [row["kind"] for row in _rows() if row["wedding_id"]] == [Step.LOOK, Step.WARM, Step.LOOK]


def test_what_was_warmed_is_measured_a_minute_later() -> None:
    optimising.optimise(now=_at(-24), machine=_machine())
    optimising.optimise(now=_at(-23.9), machine=_machine())
    assert _rows(Step.WARM)[0]["after"] is None, "nothing was warmed yet"
    warming.run(now=_at(-23.9), machine=_machine())
    assert optimising.optimise(now=_at(-23.8), machine=_machine()) == 0
    [row] = _rows(Step.WARM)
    assert (row["before"], row["after"]) == (1.0, 0.0)
    assert "share of what who joins has to load: 1 → 0 (-100%)" in _run().output
    assert orjson.loads(_run("--json").output)["results"][0]["helped"] is True


def test_a_step_that_did_not_help_is_not_taken_again_by_itself() -> None:
    optimising.optimise(now=_at(-24), machine=_machine())
    with database.transaction() as db:
        results.measured(db, {row["key"]: 1.0 for row in _rows(Step.WARM)})
    _put(wedding("w-2", starts_at=_at(1)))
    optimising.optimise(now=_at(-23), machine=_machine())
    assert [row["kind"] for row in _rows()] == [Step.WARM, Step.LOOK]
    _run("w-1")
    assert len(_rows(Step.WARM)) == 2, "by hand it is taken"


def test_who_works_at_many_weddings_at_once_has_room_until_they_are_over() -> None:
    _put(*[wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)])
    optimising.optimise(now=_at(-24), machine=_machine())
    assert suppliers.limits() == {"busy": 300}
    [row] = _rows(Step.SUPPLIER_LIMIT)
    assert (row["before"], row["after"], row["detail"]["to"]) == (100.0, 0.0, 300)
    optimising.optimise(now=_at(-23.9), machine=_machine())
    assert len(_rows(Step.SUPPLIER_LIMIT)) == 1
    optimising.optimise(now=_at(8), machine=_machine())
    assert suppliers.limits() == {"busy": 300}
    optimising.optimise(now=_at(9.1), machine=_machine())
    assert suppliers.limits() == {}
    assert "undone 2026-10-10" in _run("--limit", "200").output


def test_a_limit_goes_back_to_what_it_was_before_the_first_of_several_raises() -> None:
    early = [wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)]
    late = [wedding(f"l-{number}", starts_at=_at(20), supplier_ids=("busy",)) for number in range(100)]
    _put(*early, *late)
    for hours in (-24, -4):
        optimising.optimise(now=_at(hours), machine=_machine())
    assert suppliers.limits() == {"busy": 400}
    for hours, limits in ((9.1, {"busy": 400}), (29.1, {})):
        optimising.optimise(now=_at(hours), machine=_machine())
        assert suppliers.limits() == limits


def test_a_limit_holds_as_long_as_any_of_its_weddings_needs_it() -> None:
    many = [wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)]
    more = [wedding(f"l-{number}", starts_at=_at(8), supplier_ids=("busy",)) for number in range(80)]
    _put(*many, *more)
    for hours in (-24, -16, 9.1):
        optimising.optimise(now=_at(hours), machine=_machine())
        assert suppliers.limits() == {"busy": 300}
    optimising.optimise(now=_at(17.1), machine=_machine())
    assert suppliers.limits() == {}


def test_more_weddings_of_the_same_day_raise_it_again() -> None:
    many = [wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)]
    more = [wedding(f"l-{number}", starts_at=_at(0.5), supplier_ids=("busy",)) for number in range(80)]
    _put(*many)
    optimising.optimise(now=_at(-24), machine=_machine())
    _put(*more)
    optimising.optimise(now=_at(-23.5), machine=_machine())
    assert suppliers.limits() == {"busy": 600}
    for row in _rows(Step.SUPPLIER_LIMIT):
        _run("--undo", str(row["id"]))
    assert suppliers.limits() == {}
    _run("m-1")
    assert suppliers.limits() == {"busy": 600}, "by hand it is raised again"


def test_what_died_on_the_way_is_done_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(*[wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)])

    def _die(*_arguments: object, **_named: object) -> None:
        raise MemoryError

    with monkeypatch.context() as dying:
        dying.setattr(suppliers, "limit_supplier", _die)
        with pytest.raises(MemoryError):
            optimising.optimise(now=_at(-24), machine=_machine())
    assert _rows(Step.WARM) == []
    optimising.optimise(now=_at(-23.9), machine=_machine())
    assert suppliers.limits() == {"busy": 300}
    assert len(_rows(Step.WARM)) == 81


def test_a_cache_that_is_away_says_nothing_of_what_was_warmed(monkeypatch: pytest.MonkeyPatch) -> None:
    optimising.optimise(now=_at(-24), machine=_machine())
    warming.run(now=_at(-24), machine=_machine())

    def _gone(*_arguments: object) -> None:
        raise NotConnected("gone")

    with monkeypatch.context() as away:
        away.setattr(showing, "is_cold", _gone)
        optimising.optimise(now=_at(-23.9), machine=_machine())
    assert _rows(Step.WARM)[0]["after"] is None
    optimising.optimise(now=_at(-23.8), machine=_machine())
    assert _rows(Step.WARM)[0]["after"] == 0.0


def test_a_limit_is_undone_by_hand_but_not_what_somebody_else_gave() -> None:
    _put(*[wedding(f"m-{number}", supplier_ids=("busy",)) for number in range(80)])
    optimising.optimise(now=_at(-24), machine=_machine())
    [row] = _rows(Step.SUPPLIER_LIMIT)
    suppliers.limit_supplier("busy", 900, now=_machine())
    assert _run("--undo", str(row["id"])).exit_code == 0
    assert suppliers.limits() == {"busy": 900}
    assert "it was undone already" in str(_run("--undo", str(row["id"])).exception)
    warm = _rows(Step.WARM)[0]["id"]
    assert "optimise_warm leaves nothing to undo" in str(_run("--undo", str(warm)).exception)
    assert "there is no result 999" in str(_run("--undo", "999").exception)


def _many(count: int) -> None:
    """Fill a table of a wedding's day so that what is known of it is wrong by much."""
    with database.transaction() as db:
        rows = text(
            "INSERT INTO critical_path_metrics (wedding_id, at, due, reported, in_time, suppliers, arrived, "
            "bottleneck, moments) SELECT 'w-' || mod(n, 7), now(), 0, 0, 0, 0, 0, '', '{}' "
            "FROM generate_series(1, :count) n"
        )
        db.execute(rows, {"count": count})
        db.exec_driver_sql("SELECT pg_stat_force_next_flush()")


def test_stale_statistics_of_a_slow_operation_are_made_anew_and_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _many(5_000)
    monkeypatch.setenv("OPTIMISER_SLOW", "20s")
    databases.look(now=_at(-24))
    assert _rows(Step.ANALYZE) == [], "what is fast is left alone"
    monkeypatch.setenv("OPTIMISER_SLOW", "0s")
    databases.look(now=_at(-24))
    [row] = [one for one in _rows(Step.ANALYZE) if "critical_path_metrics" in one["detail"]["tables"]]
    assert (row["operation"], row["before"] > 0, row["after"] > 0) == ("how a day goes, ms", True, True)
    databases.look(now=_at(-23))
    assert len([one for one in _rows(Step.ANALYZE) if one["operation"] == row["operation"]]) == 1


def test_an_index_is_proposed_for_a_slow_statement_and_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    _many(20_000)
    with database.transaction() as db:
        db.exec_driver_sql("SELECT pg_stat_statements_reset()")
    statement = "SELECT count(*) FROM critical_path_metrics WHERE bottleneck = %(what)s AND due > %(due)s"
    for number in range(4):
        with database.transaction() as db:
            db.exec_driver_sql(statement, {"what": "ceremony", "due": number})
    with database.transaction() as db:
        db.exec_driver_sql("ANALYZE critical_path_metrics")
        assert diagnosis.has_statistics(db), "the embedded server has pg_stat_statements"
    monkeypatch.setenv("OPTIMISER_SLOW", "0s")
    databases.look(now=_at(-24))
    databases.look(now=_at(-23))
    found = [one["detail"]["propose"] for one in _rows(Step.INDEX)]
    assert found == ["CREATE INDEX CONCURRENTLY ON critical_path_metrics (bottleneck, due)"]
    with database.transaction() as db:
        query = text("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%bottleneck%'")
        assert db.execute(query).scalar_one() == 0
    assert found[0] in _run().output


def test_without_pg_stat_statements_slow_statements_are_known_by_our_own_timings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_statements, "SLOW", 0.0)
    monkeypatch.setattr(slow_statements, "KEPT", 3)
    _many(20_000)
    with database.transaction() as db:
        db.exec_driver_sql("ANALYZE critical_path_metrics")
    query = "SELECT count(*) FROM critical_path_metrics WHERE arrived = :many AND reported = :many"
    statement = text(query)
    with database.transaction() as db:
        db.execute(statement, {"many": 7})
        db.execute(text("SELECT pg_sleep(0.2)"))
    noted = {one.statement: one for one in slow_statements.noted(limit=9)}
    assert len(noted) == 3
    assert noted["SELECT pg_sleep(0.2)"].mean_ms >= 200
    monkeypatch.setattr(diagnosis, "has_statistics", lambda _db: False)
    monkeypatch.setenv("OPTIMISER_SLOW", "1ms")
    databases.look(now=_at(-24))
    assert redis.registry().zcard("wedops:slow_statements") <= 3


def test_a_transaction_that_does_nothing_is_told_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "IDLE_AFTER", timedelta(0))
    with database.engine().connect() as idle:
        idle.exec_driver_sql("SELECT 1")
        found = databases.look(now=_at(-24))
        databases.look(now=_at(-23))
        assert "does nothing; end its program" in found[0]
        assert "does nothing; end its program" in _run().output
    with database.transaction() as db:
        query = text("SELECT count(*) FROM outbox WHERE key LIKE 'database/%'")
        assert db.execute(query).scalar_one() == 1


@contextmanager
def _tenant(status: str = "ok") -> Iterator[tuple[str, list[str]]]:
    joined: list[str] = []

    def _answer(socket: Any) -> None:
        frame = orjson.loads(socket.recv())
        joined.append(frame["topic"])
        if status == "silent":
            socket.close()
            return
        reply = {"topic": frame["topic"], "event": "phx_reply", "payload": {"status": status}, "ref": "1"}
        socket.send(orjson.dumps(reply).decode())

    with serve(_answer, "127.0.0.1", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", joined
        server.shutdown()


def test_a_tenant_that_may_sleep_is_woken_two_hours_before_once_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _put(replace(ONE, id="w-2", starts_at=_at(0.1), ends_at=_at(5)))
    with _tenant() as (url, joined):
        monkeypatch.setenv("SUPABASE_URL", url)
        monkeypatch.setenv("SUPABASE_KEY", "a-key")
        optimising.optimise(now=_at(-2), machine=_machine())
        optimising.optimise(now=_at(-1.9), machine=_machine())
    assert joined == ["realtime:wedding:w-1"] * 2
    [row] = _rows(Step.WAKE)
    assert row["before"] > 0
    assert row["after"] > 0
    for status in ("silent", "error"):
        _put(replace(ONE, id=f"w-{status}", starts_at=_at(1.9), ends_at=_at(5)))
        with _tenant(status) as (url, _):
            monkeypatch.setenv("SUPABASE_URL", url)
            optimising.optimise(now=_at(-0.1), machine=_machine())
    assert len(_rows(Step.WAKE)) == 1, "what did not let us in was not woken"


def test_another_service_asks_for_it_once_a_key() -> None:
    fields = {"wedding_id": "w-1", "request_key": "k"}
    for _ in range(2):
        commands.accept_all("wedding_day.optimise_wedding", [fields], caller="planning")
        tasks.optimise_wedding.apply(kwargs=fields).get()
    assert [row["key"] for row in _rows(Step.WARM)] == ["optimise/by_hand-k/w-1/20261010T0800"]
    tasks.optimise()
