"""Responses on real servers.

Done once, measured, undone when worse or over, help called for when nothing helps.
"""

from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner

from tests.made import NOON, wedding
from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Change, Reason, State
from workers.alerts.store import alerts, moves
from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.caching.store import peaks, results
from workers.cli import main as cli
from workers.connections.rules.shedding import Feature
from workers.connections.store import modes
from workers.connections.usecases import service as connections
from workers.foundation import clock, database, redis
from workers.responses import adapters, store
from workers.responses import usecases as responses
from workers.responses.rules import Policy
from workers.scaling.store import orders
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

POLICY = Policy()
IDS: dict[str, int] = {}
SHED = ("shed_presence", "shed_typing", "shed_history", "shed_broadcast")


@pytest.fixture(autouse=True)
def _wedding(world: object) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=NOON, region="east")], at=NOON)


def _at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def _alert(
    value: float,
    seconds: float,
    *,
    region: str = "east",
    kind: Kind = Kind.RESPONSE_TIME,
    wedding_id: str = "",
) -> None:
    """Have an alert fire, or be seen again, at a value."""
    breach = Breach(kind, wedding_id or region, Severity.CRITICAL, value, "slow", region, wedding_id)
    with database.transaction() as db:
        known = {one.fingerprint: one for one in alerts.unresolved(db)}.get(breach.fingerprint)
        change = Change(known.id if known else None, State.FIRING, Reason.STILL_ABOVE, breach)
        moves.apply_changes(db, [change], at=_at(seconds), flapping_within=timedelta(0))


def _calm(seconds: float, *kinds: Kind) -> None:
    """Have alerts be measured below their thresholds: all, or those of some kinds."""
    with database.transaction() as db:
        found = [one.id for one in alerts.listed(db, ended=False) if not kinds or one.kind in kinds]
        alerts.calm(db, found, at=_at(seconds))


def _respond(seconds: float) -> list[str]:
    """Respond twice; return what was done, the oldest first, and whether help was called for."""
    for _ in range(2):
        helpless = responses.respond(POLICY, now=_at(seconds)).helpless
    with database.transaction() as db:
        rows = list(reversed(store.history(db)))
    return [f"{row['action']} {row['outcome']}{' undone' if row['undone_at'] else ''}" for row in rows] + [
        "help"
    ] * len(helpless)


def _ordered(scope: str) -> None:
    lasts = timedelta(hours=1)
    connections.begin_emergency_mode(scope, owner="ada", reason="storm", lasts=lasts, now=clock.now())


def _scaled() -> set[str]:
    with database.transaction() as db:
        return {
            region for region, own in orders.active(db, at=_at(0)).items() if orders.Kind.EMERGENCY in own
        }


def test_the_story_of_a_response_that_helps() -> None:
    _alert(6000, 0)
    assert _respond(0) == ["emergency_mode acting"]
    assert modes.active()
    _alert(2500, 29)
    assert _respond(29) == ["emergency_mode acting"]
    assert _respond(30) == ["emergency_mode better"]
    assert _respond(55) == ["emergency_mode better"], "silence is not health"
    _calm(38)
    assert _respond(57) == ["emergency_mode better"]
    assert _respond(58) == ["emergency_mode better undone"]
    assert not modes.active()
    with database.transaction() as db:
        [row] = store.history(db)
        assert (row["before"], row["after"]) == (6000, 2500)
        assert results.count(db, "emergency_mode") == 1


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the last inspection say that the cache must evict what is read."""
    monkeypatch.setattr(responses, "_cache_is_small", lambda: True)


@pytest.mark.usefixtures("small_cache")
def test_what_is_ordered_for_a_while_is_renewed_as_long_as_its_alert_stands() -> None:
    for seconds in (0, 30, 60):
        _alert(6000, seconds)
        _respond(seconds)
    assert _scaled() == {"east", "everywhere"}
    for minutes in range(2, 50, 5):
        _alert(6000, minutes * 60)
        _respond(minutes * 60)
    with database.transaction() as db:
        held = orders.active(db, at=_at(50 * 60))
        assert held["east"][orders.Kind.EMERGENCY].value > 0, "instances, as many as there may be"
        assert len(orders.history(db, limit=99)) < 12, "renewed, not given at each run"


def test_what_makes_it_worse_is_undone_at_once_and_the_next_step_is_taken() -> None:
    _alert(6000, 0)
    _respond(0)
    _alert(9000, 30)
    assert _respond(30) == ["emergency_mode worse", "scale acting"]
    assert not modes.active()
    assert _scaled() == {"east"}


@pytest.mark.usefixtures("small_cache")
def test_when_nothing_helps_somebody_is_called() -> None:
    for seconds in range(0, 210, 30):
        _alert(6000, seconds)
        _respond(seconds)
    _alert(6000, 210)
    steps = ("emergency_mode", "scale", "grow_cache", *SHED)
    assert _respond(210) == [*(f"{one} no_better" for one in steps), "help"]
    assert [one.by for one in peaks.known()] == [adapters.CALLER]
    assert _shed() == {"w-1": "presence typing history broadcast"}
    _alert(6000, 220)
    assert _respond(220)[-1] == "help"
    _calm(230)
    assert _respond(250)[-1] == "shed_broadcast no_better undone"
    assert _shed() == {}
    assert peaks.known() == []
    assert (_scaled(), modes.active()) == (set(), {})


def test_what_two_alerts_need_is_undone_with_the_last_of_them() -> None:
    _alert(6000, 0)
    _alert(6000, 0, kind=Kind.ERROR_RATE)
    _respond(0)
    _calm(5, Kind.RESPONSE_TIME)
    _alert(6000, 29, kind=Kind.ERROR_RATE)
    _respond(29)
    assert modes.active(), "the other one still needs it"
    _calm(30)
    _respond(60)
    assert not modes.active()


def test_what_people_ordered_is_left_to_them() -> None:
    _ordered("region:east")
    with database.transaction() as db:
        orders.give(db, orders.Order("east", orders.Kind.EMERGENCY, "storm", "ada", NOON, _at(3600)))
    _alert(6000, 0)
    _respond(0)
    _alert(6000, 30)
    _respond(30)
    _calm(40)
    _respond(60)
    assert modes.active()
    with database.transaction() as db:
        assert orders.active(db, at=_at(0))["east"][orders.Kind.EMERGENCY].requested_by == "ada"


def test_emergency_mode_follows_the_rows_when_a_run_died_or_redis_lost_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _alert(6000, 0)

    def _dies(*_facts: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # After the switch, before the row is there.
        patch.setattr(responses.log, "warning", _dies)
        with pytest.raises(KeyboardInterrupt):
            responses.respond(POLICY, now=_at(0))
    assert modes.active()
    with database.transaction() as db:
        db.execute(alerts.alerts.update().values(state=State.RESOLVED))
    _respond(1)
    assert not modes.active(), "no row says so"
    _alert(6000, 10)
    _respond(10)
    redis.registry().delete("wedops:emergency_modes")
    _respond(11)
    assert modes.active(), "a row says so"


def test_what_a_person_says_of_emergency_mode_is_heeded() -> None:
    _alert(6000, 0)
    _respond(0)
    assert CliRunner().invoke(cli.wedops, ["emergency-mode", "off", "--region", "east"]).exit_code == 0
    _respond(5)
    assert not modes.active()
    assert CliRunner().invoke(cli.wedops, ["emergency-mode", "on", "--region", "east"]).exit_code == 0
    _calm(6)
    _respond(30)
    assert modes.active()


def test_guests_give_way_where_the_trouble_is_and_nowhere_else() -> None:
    _alert(6000, 0)
    _respond(0)
    assert list(modes.active()) == ["region:east"]
    _alert(9000, 0, kind=Kind.PHOTO_UPLOAD, wedding_id="w-1")
    _respond(1)
    assert set(modes.active()) == {"region:east", "wedding:w-1"}
    assert {one.owner for one in modes.active().values()} == {"degradation"}


def test_a_degradation_that_comes_back_is_answered_anew() -> None:
    _alert(6000, 0)
    _respond(0)
    _calm(1)
    _respond(21)
    _alert(6000, 40)
    assert _respond(40) == ["emergency_mode acting undone", "emergency_mode acting"]


def test_a_region_is_drained_only_where_others_have_room_and_filled_again() -> None:
    balancing.report(Report("n1", "east", "ws://n1", 100, 40))
    _alert(99, 0, kind=Kind.AVAILABILITY)
    _respond(0)
    _alert(99, 30, kind=Kind.AVAILABILITY)
    _respond(30)
    assert balancing.drained() == set(), "nobody else could take them"
    _calm(40)
    _respond(60)
    balancing.report(Report("n2", "west", "ws://n2", 100, 10))
    for seconds in (100, 130):
        _alert(99, seconds, kind=Kind.AVAILABILITY)
        _respond(seconds)
    assert balancing.drained() == {"n1"}
    _calm(140)
    _respond(160)
    assert balancing.drained() == set()


def test_an_alert_that_somebody_holds_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for region in ("east", "west", "north"):
        _alert(6000, 0, region=region)
    with database.transaction() as db:
        ids = {one.region: one.id for one in alerts.listed(db, ended=False)}
    with database.transaction() as held:
        alerts.hold(held, ids["east"])
        _respond(0)
    with database.transaction() as db:
        assert set(store.active(db)) == {ids["west"], ids["north"]}
    monkeypatch.setattr(responses, "ENOUGH", -1.0)
    assert len(responses.respond(POLICY, now=_at(1)).unknown) == 3, "it has no time, and says so"


def test_a_call_for_help_ends_with_its_alert_and_not_for_want_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def calls(since: int) -> int:
        """Respond for an hour; return how many calls for help are open then."""
        for minutes in range(since, since + 60, 5):
            responses.raise_alerts(responses.respond(POLICY, now=_at(minutes * 60)), now=_at(minutes * 60))
        with database.transaction() as db:
            return sum(one.kind is Kind.RESPONSE_FAILED for one in alerts.listed(db, ended=False))

    _alert(6000, 0)
    for minutes in range(0, 30):
        _alert(6000, minutes * 60)
        answered = responses.respond(POLICY, now=_at(minutes * 60))
        responses.raise_alerts(answered, now=_at(minutes * 60))
    assert calls(30) == 1
    with monkeypatch.context() as patch:
        patch.setattr(responses, "ENOUGH", -1.0)
        assert calls(90) == 1
    with database.transaction() as db:
        of = alerts.alerts
        db.execute(of.update().where(of.c.kind == Kind.RESPONSE_TIME).values(state=State.RESOLVED))
    assert calls(150) == 0


def _shed() -> dict[str, str]:
    return redis.connections().hgetall("wedops:service:shed")


def test_what_people_can_do_without_is_left_out_at_the_wedding_that_suffers_and_comes_back() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-2", starts_at=NOON, region="east")], at=NOON)
    for step in range(4):
        _alert(6000, 31 * step, wedding_id="w-1", region="")
        _respond(31 * step)
    # What is known of one wedding moves nothing for its whole region.
    assert _respond(100)[:2] == [f"{one} no_better" for one in ("emergency_mode", "shed_presence")]
    assert _shed() == {"w-1": "presence typing history"}
    _calm(135)
    _respond(156)
    assert _shed() == {}


def test_what_nobody_wants_any_more_is_not_left_out() -> None:
    connections.shed_feature("region:east", Feature.HISTORY, lasts=timedelta(hours=1), now=NOON)
    assert _shed() == {"w-1": "history"}
    _respond(0)
    assert _shed() == {}


def _trigger(id: int) -> str:
    done = CliRunner().invoke(cli.wedops, ["responses", "trigger", str(id), "--by", "ada"])
    return done.output or str(done.exception)


def test_the_next_step_is_taken_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(5))
    _alert(6000, 0)
    _respond(0)
    with database.transaction() as db:
        [one] = alerts.listed(db, ended=False)
    assert "scale: east" in _trigger(one.id)
    assert _respond(5) == ["emergency_mode acting", "scale acting"]
    for name in ("presence", "typing", "history", "broadcast"):
        assert f"shed_{name}: region:east goes on without {name}" in _trigger(one.id)
    assert "all was tried" in _trigger(one.id)
    assert "alert 99" in _trigger(99)
    listed = CliRunner().invoke(cli.wedops, ["responses"]).output
    assert "scale (by_hand by ada)" in listed


def test_no_playbook_is_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _at(5))
    _alert(1.0, 0, kind=Kind.JOB_STOPPED)
    with database.transaction() as db:
        [one] = alerts.listed(db, ended=False)
    assert "no playbook is for job_stopped critical" in _trigger(one.id)
