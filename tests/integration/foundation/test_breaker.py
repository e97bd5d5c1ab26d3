"""Circuit breakers: what keeps failing is left alone by every process, and tried again after a while."""

from datetime import timedelta

import pytest

from tests.made import eventually, run_python
from workers.foundation import breaker, circuits, clock, database, event_log, redis
from workers.foundation.breaker import CircuitOpen
from workers.foundation.circuits import Circuit

pytestmark = pytest.mark.usefixtures("world")


class AwayError(Exception):
    """What a dependency raises."""


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(breaker, "CHECKED_EVERY", 0.0)
    # pybreaker remembers the second only: a pause of one may be over at once.
    monkeypatch.setitem(breaker.PAUSES, "supabase", 2)
    breaker._breaker.cache_clear()
    yield
    redis.registry().flushall()
    breaker._breaker.cache_clear()


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, AwayError)


def _call(error: Exception | None = None) -> None:
    with breaker.guarded("supabase", _is_unavailable):
        if error:
            raise error


def _fail(times: int) -> None:
    for _ in range(times):
        with pytest.raises(AwayError):
            _call(AwayError())


def _state() -> Circuit:
    return next(circuit for circuit in circuits.known() if circuit.dependency == "supabase")


def test_five_failures_in_a_row_open_it_and_a_good_probe_closes_it() -> None:
    _fail(4)
    assert _state() == Circuit("supabase", "closed", 4)
    _fail(1)
    assert _state().state == "open"
    with pytest.raises(CircuitOpen, match="failed 5 times in a row"):
        _call()
    assert eventually(lambda: not _refused(), within=10)
    assert _state() == Circuit("supabase", "closed", 0)


def _refused() -> bool:
    try:
        _call()
    except CircuitOpen:
        return True
    return False


def test_the_journal_says_that_it_opened_and_closed_once_and_nothing_of_the_tries_between() -> None:
    hour = clock.now() - timedelta(hours=1)
    _fail(5)
    for _ in range(2):
        # A probe that fails: half-open, and open again.
        assert eventually(_probes_badly, within=10)
    assert [one.what for one in event_log.since(hour)] == ["circuit of supabase is open"]
    assert eventually(lambda: not _refused(), within=10)
    assert [one.what for one in event_log.since(hour)] == [
        "circuit of supabase is open",
        "circuit of supabase is closed",
    ]


def _probes_badly() -> bool:
    try:
        _call(AwayError())
    except AwayError:
        return True
    except CircuitOpen:
        return False
    return False


def test_a_bad_probe_leaves_it_open() -> None:
    _fail(5)
    assert eventually(_probes_badly, within=10)
    assert _state().state == "open"


def test_one_call_of_all_processes_is_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    # The probe's key goes with the pause; another process takes a while to start.
    monkeypatch.setitem(breaker.PAUSES, "supabase", 60)
    _fail(5)
    redis.registry().set("wedops:supabase:pybreaker:state", "half-open")
    with breaker.guarded("supabase", _is_unavailable):
        words = "from workers.foundation import breaker\nwith breaker.guarded('supabase', bool): pass"
        done = run_python(words)
        assert "CircuitOpen" in done.stderr
    assert _state().state == "closed"
    _call()


def test_a_success_between_starts_the_count_anew_and_other_errors_do_not_count() -> None:
    _fail(4)
    _call()
    _fail(4)
    with pytest.raises(ValueError, match="business"):
        _call(ValueError("business"))
    assert _state() == Circuit("supabase", "closed", 0)


def test_another_process_sees_it_open() -> None:
    _fail(5)
    words = "from workers.foundation import breaker\nwith breaker.guarded('supabase', bool): pass"
    done = run_python(words)
    assert "CircuitOpen" in done.stderr


def test_a_redis_that_is_away_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def _gone(*_arguments: object, **_options: object) -> None:
        raise redis.UNREACHABLE[0]("gone")

    monkeypatch.setattr(type(redis.undecoded()), "execute_command", _gone)
    _fail(7)
    _call()
    monkeypatch.undo()


def test_a_statement_that_fails_is_not_a_database_that_is_away() -> None:
    for _ in range(7):
        with pytest.raises(Exception, match="nothing_like_it"), database.transaction() as db:
            db.exec_driver_sql("SELECT nothing_like_it")
    with database.transaction() as db:
        assert db.exec_driver_sql("SELECT 1").scalar_one() == 1
