"""What people order, what waits for approval, what a region in shadow does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.made import NOON, connection, due_now, scaled, wedding
from workers.balancing import store as balancing
from workers.balancing.store import Report
from workers.connections import keys
from workers.connections import tasks as connections
from workers.connections.store.registry import open
from workers.forecasting import tasks as forecasting
from workers.foundation import clock, database, redis, settings
from workers.outbox import store as outbox
from workers.retention import store as retention
from workers.scaling import tasks
from workers.scaling.adapters import valkey
from workers.scaling.adapters.valkey import Valkey
from workers.scaling.rules import decision as rules
from workers.scaling.rules.actions import REJECTED, Action
from workers.scaling.rules.decision import Purpose, Reading, State
from workers.scaling.rules.orders import Kind, Order
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.scaling.rules.policy import Resource
from workers.scaling.store import actions as store
from workers.scaling.store import orders, proposals
from workers.scaling.store.proposals import ProposalUnknown
from workers.scaling.usecases import deciding
from workers.scaling.usecases.modes import in_shadow
from workers.scaling.usecases.readings import readings
from workers.simulation import usecases as simulation
from workers.weddings.rules.calendar import EVERYWHERE
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")
REGION = "us-northeast"


@pytest.fixture(autouse=True)
def _a_region(world: object) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding(starts_at=clock.now() + timedelta(days=9))], at=NOON)


def _crowd(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have people there, for each of whom an instance is needed."""
    monkeypatch.setenv("SCALING_CONNECTIONS_PER_INSTANCE", "1")
    for number in range(people):
        open(connection(f"c{number}", user_id=f"u{number}"))
    connections.snapshot()


def _instances() -> list[Action]:
    with database.transaction() as db:
        return [one for one in store.recent(db, limit=50) if one.resource is Resource.INSTANCES]


def _order(kind: Kind, *, value: int = 0, until: datetime | None = None) -> None:
    with database.transaction() as db:
        orders.give(db, Order(REGION, kind, "a test", "tester", clock.now(), until, value))


def test_a_new_region_decides_and_writes_and_nothing_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_NEW_REGIONS", "shadow")
    _crowd(5, monkeypatch)
    tasks.decide()
    tasks.decide()
    [action] = _instances()
    assert (action.purpose, action.state, action.to) == (Purpose.SHADOW, State.PROPOSED, 7)
    assert not redis.registry().exists(keys.DESIRED + REGION)
    with database.transaction() as db:
        regret = simulation.regret(db, REGION, now=clock.now() + timedelta(minutes=2), days=1)
    assert regret
    assert regret.needed == 5
    _order(Kind.LIVE)
    tasks.decide()
    assert [(one.purpose, one.before, one.to) for one in _instances()] == [
        (Purpose.ACT, 2, 7),
        (Purpose.SHADOW, 2, 7),
    ]
    assert redis.registry().hget(keys.DESIRED + REGION, "instances") == "7"


def test_a_hold_holds_until_its_time_is_over_and_an_emergency_is_past_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _crowd(5, monkeypatch)
    _order(Kind.SUSPEND_SCALE_OUT, until=clock.now() + timedelta(hours=1))
    tasks.decide()
    assert _instances() == []
    _order(Kind.EMERGENCY, value=4, until=clock.now() + timedelta(hours=1))
    tasks.decide()
    # Five people want seven, which is held; the emergency wants four at least.
    assert [(one.to, one.reason) for one in _instances()] == [(4, rules.Reason.EMERGENCY)]
    with database.transaction() as db:
        later = orders.active(db, at=clock.now() + timedelta(hours=2))
    assert later == {}
    with database.transaction() as db:
        assert orders.end(db, REGION, Kind.SUSPEND_SCALE_OUT, by="tester", at=clock.now()) == 1
        assert [(one.kind, one.ended_by) for one in orders.history(db)] == [
            (Kind.EMERGENCY, None),
            (Kind.SUSPEND_SCALE_OUT, "tester"),
        ]
    tasks.decide()
    assert _instances()[0].to == 7


def test_what_is_above_the_cap_waits_for_somebody_is_allowed_and_undone_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _crowd(9, monkeypatch)
    tasks.decide()
    tasks.decide()
    proposal, action = _instances()
    assert (action.to, action.purpose) == (10, Purpose.ACT)
    assert (proposal.to, proposal.purpose, proposal.state) == (13, Purpose.ABOVE_CAP, State.PROPOSED)
    with database.transaction() as db:
        assert outbox.waiting(db, "notification") == [f"scaling/approve/{proposal.id}/operations/target-1"]
        proposals.settle(
            db,
            proposal.id,
            State.APPROVED,
            by="tester",
            at=clock.now(),
            until=clock.now() + timedelta(hours=1),
        )
    tasks.decide()
    assert (_instances()[0].to, _instances()[0].before) == (13, 10)
    with database.transaction() as db, pytest.raises(ProposalUnknown):
        proposals.settle(db, proposal.id, State.APPROVED, by="tester", at=clock.now(), until=clock.now())
    policy, later = (
        ScalingPolicy(connections_per_instance=1, new_regions="live"),
        clock.now() + timedelta(hours=2),
    )
    with database.transaction() as db:
        [reading] = [one for one in readings(db, policy, now=later) if one.resource is Resource.INSTANCES]
        assert (reading.allowed, reading.expired) == (0, True)
        # Nothing was measured for two hours, which takes nothing away; now it is.
        assert rules.decide(reading, policy, now=later).to == 13
        reading = replace(reading, load=9.0, expected=0.0)
        deciding.record(db, [(reading, rules.decide(reading, policy, now=later))], policy, now=later)
        found = {one.id: one for one in store.recent(db)}
    assert found[proposal.id].state is State.ROLLED_BACK
    newest = max(one.id for one in found.values() if one.purpose is Purpose.ACT)
    assert (found[newest].to, found[newest].reason) == (10, rules.Reason.APPROVAL_ENDED)


def _decide(reading: Reading, at: datetime) -> None:
    with database.transaction() as db:
        deciding.record(
            db, [(reading, rules.decide(reading, ScalingPolicy(), now=at))], ScalingPolicy(), now=at
        )


def _proposals() -> list[tuple[State, str | None]]:
    with database.transaction() as db:
        return [(one.state, one.problem) for one in store.recent(db) if one.purpose is Purpose.ABOVE_CAP]


@pytest.mark.parametrize(
    ("then", "after", "problems"),
    [
        ({"load": 100.0}, timedelta(minutes=5), [None]),
        ({"load": 100.0}, timedelta(minutes=10), ["no longer needed"]),
        ({"load": 9_000.0}, timedelta(hours=2), [None, "nobody approved it in time"]),
        ({"load": 12_000.0}, timedelta(minutes=5), [None]),
        ({"load": 8_900.0}, timedelta(minutes=5), [None]),
    ],
)
def test_a_proposal_that_nobody_settles_does_not_stay_for_ever(
    then: dict[str, Any], after: timedelta, problems: list[str | None]
) -> None:
    first = Reading(region=REGION, has=10, load=9_000.0, expected=0.0, changed_at=NOON - timedelta(hours=1))
    _decide(first, NOON)
    with database.transaction() as db:
        expected_previous_id = store.recent(db)[0].id
    _decide(
        Reading(
            region=REGION,
            has=10,
            expected=0.0,
            changed_at=NOON,
            expected_previous_id=expected_previous_id,
            **then,
        ),
        NOON + after,
    )
    assert [problem for _, problem in _proposals()] == problems


def test_what_all_regions_share_is_decided_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_USERS_PER_CACHE_MB", "1")
    monkeypatch.setenv("SCALING_USERS_PER_DATABASE_CONNECTION", "1")
    monkeypatch.setenv("SCALING_ACTUATORS", "cache_mb=valkey database_connections=gateways")
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-2", starts_at=NOON, region="us-west")], at=NOON)
    for number in range(30):
        open(connection(f"c{number}", user_id=f"u{number}", region="us-west"))
    connections.snapshot()
    now = clock.now()
    with database.transaction() as db:
        found = readings(db, ScalingPolicy(), now=now)
    assert {(one.region, one.resource) for one in found} == {
        (EVERYWHERE, Resource.CACHE_MB),
        (EVERYWHERE, Resource.DATABASE_CONNECTIONS),
    }
    assert {one.load for one in found} == {30}


def test_an_action_that_does_not_take_effect_is_tried_again_and_then_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCALING_CONFIRM_WITHIN", "0s")
    _crowd(5, monkeypatch)
    tasks.decide()
    for _ in range(ScalingPolicy().attempts_max):
        _verify()
    [action] = _instances()
    assert (action.state, action.problem) == (State.FAILED, "gateways has not confirmed it yet")
    with database.transaction() as db:
        assert [one.id for one in store.failed(db)] == [action.id]
    redis.registry().hset(keys.CONFIRMED + REGION, "gateway-1", action.id)
    _verify()
    [action] = _instances()
    assert (action.state, action.problem) == (State.CONFIRMED, None)


def test_an_actuator_that_can_not_be_asked_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_USERS_PER_CACHE_MB", "1")
    monkeypatch.setattr(valkey.Valkey, "_request", lambda *_question: 1 / 0)
    with database.transaction() as db:
        far = [wedding(f"w-{number}", starts_at=clock.now(), guest_count=600) for number in range(3)]
        weddings.upsert(db, far, at=NOON)
    forecasting.refresh()
    _crowd(5, monkeypatch)
    tasks.decide()
    assert [one.to for one in _instances() if one.purpose is Purpose.ACT] == [10]
    with database.transaction() as db:
        found = {one.resource: one for one in store.recent(db)}
    # What can't be asked may get more, and says why it does not.
    assert found[Resource.CACHE_MB].to > found[Resource.CACHE_MB].before
    assert found[Resource.CACHE_MB].problem == "valkey failed (ZeroDivisionError)"


def test_a_region_that_is_put_back_to_watching_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _crowd(5, monkeypatch)
    tasks.decide()
    assert redis.registry().hget(keys.DESIRED + REGION, "instances") == "7"
    _order(Kind.SHADOW, until=clock.now() + timedelta(hours=1))
    _verify()
    tasks.reconcile()
    assert not redis.registry().exists(keys.DESIRED + REGION)
    with database.transaction() as db:
        later = clock.now() + timedelta(hours=2)
        assert REGION not in in_shadow(db, ScalingPolicy(new_regions="live"), orders.active(db, at=later)), (
            "what was before holds again"
        )
        orders.give(db, Order(REGION, Kind.LIVE, "a test", "tester", clock.now()))
        orders.give(
            db, Order(REGION, Kind.SHADOW, "a test", "tester", clock.now(), clock.now() + timedelta(hours=1))
        )
        assert set(orders.active(db, at=clock.now())[REGION]) == {Kind.LIVE, Kind.SHADOW}
        assert set(orders.active(db, at=later)[REGION]) == {Kind.LIVE}


def test_what_somebody_gave_by_hand_during_a_ceremony_is_not_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCALING_ACTUATORS", "cache_mb=valkey")
    with database.transaction() as db:
        scaled(db, region=EVERYWHERE, resource=Resource.CACHE_MB, before=256, to=384)
        weddings.upsert(db, [wedding("w-now", starts_at=clock.now() - timedelta(hours=1))], at=NOON)
    _verify()
    for by_hand, seen in (("512mb", 512), ("300mb", 384)):
        redis.cache_server().config_set("maxmemory", by_hand)
        tasks.reconcile()
        assert int(redis.cache_server().config_get("maxmemory")["maxmemory"]) == seen * 2**20


def test_two_that_decide_at_once_write_one_action(monkeypatch: pytest.MonkeyPatch) -> None:
    _crowd(9, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        for done in [
            pool.submit(
                deciding.decide, settings.read(ScalingPolicy), now=clock.now(), machine=clock.machine_now()
            )
            for _ in range(8)
        ]:
            done.result()
    assert sorted((one.purpose, one.to) for one in _instances()) == [
        (Purpose.ABOVE_CAP, 13),
        (Purpose.ACT, 10),
    ]


def test_gateways_are_told_no_less_during_a_ceremony() -> None:
    with database.transaction() as db:
        first = scaled(db, to=6)
    _verify()
    with database.transaction() as db:
        scaled(db, expected_previous_id=first, before=6, to=3)
        weddings.upsert(db, [wedding("w-now", starts_at=clock.now() - timedelta(hours=1))], at=NOON)
    _verify()
    assert redis.registry().hmget(keys.DESIRED + REGION, "instances", "connection_limit") == ["6", "6000"]
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-now", starts_at=clock.now() - timedelta(days=1))], at=NOON)
    _verify()
    assert redis.registry().hget(keys.DESIRED + REGION, "instances") == "3"


def test_a_shadow_for_a_time_leaves_the_one_without_end() -> None:
    _order(Kind.SHADOW)
    _order(Kind.SHADOW, until=clock.now() + timedelta(hours=1))
    with database.transaction() as db:
        later = orders.active(db, at=clock.now() + timedelta(hours=2))
    assert set(later[REGION]) == {Kind.SHADOW}
    _order(Kind.LIVE)
    with database.transaction() as db:
        assert set(orders.active(db, at=clock.now())[REGION]) == {Kind.LIVE}


@pytest.mark.parametrize("odd", ["5", float("nan"), -3, True])
def test_an_amount_that_is_none_is_not_believed(odd: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_USERS_PER_CACHE_MB", "1")
    monkeypatch.setattr(Valkey, "seen", lambda *_: odd)
    _crowd(400, monkeypatch)
    tasks.decide()
    with database.transaction() as db:
        found = {one.resource: one for one in store.recent(db) if one.purpose is Purpose.ACT}
    assert {Resource.INSTANCES, Resource.CACHE_MB} <= set(found)
    assert found[Resource.CACHE_MB].before == 256


def _recorded(*figures: int, at: datetime, region: str = REGION) -> None:
    with database.transaction() as db:
        expected_previous_id = 0
        for before, to in pairwise(figures):
            expected_previous_id = scaled(
                db, region=region, expected_previous_id=expected_previous_id, before=before, to=to, at=at
            )


def _reading(region: str = REGION) -> Reading:
    with database.transaction() as db:
        found = readings(db, ScalingPolicy(new_regions="live"), now=clock.now())
    [reading] = [one for one in found if (one.region, one.resource) == (region, Resource.INSTANCES)]
    return reading


def test_what_strains_after_some_was_taken_away_gets_it_back_and_that_is_noted() -> None:
    _recorded(2, 8, 4, at=clock.now() - timedelta(minutes=5))
    assert _reading().shrunk_from == 0, "it is not gone yet"
    with database.transaction() as db:
        store.move(db, store.latest(db)[REGION, Resource.INSTANCES], State.CONFIRMED, at=clock.now())
    reading = replace(_reading(), load=100.0, expected=0.0, pressure=1.3)
    assert reading.shrunk_from == 8
    _decide(reading, clock.now())
    newest, undone, first = _instances()
    assert (newest.before, newest.to, newest.reason) == (4, 8, rules.Reason.OVER_SCALED_IN)
    assert (undone.state, undone.problem) == (State.ROLLED_BACK, "strain rose when it was gone")
    assert first.state is State.FAILED
    assert (_reading().shrunk_from, _reading().undone) == (0, 1)


def test_a_region_whose_last_wedding_moved_away_gives_back_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowded = wedding("w-9", starts_at=clock.now() + timedelta(hours=1), guest_count=9000, region="us-west")
    with database.transaction() as db:
        weddings.upsert(db, [crowded], at=NOON)
    forecasting.refresh()
    with database.transaction() as db:
        weddings.upsert(db, [replace(crowded, region=REGION, starts_at=NOON, ends_at=NOON)], at=NOON)
        scaled(
            db,
            region="us-west",
            resource=Resource.CONNECTION_POOL,
            before=200,
            to=300,
            at=clock.now() - timedelta(hours=1),
        )
    _recorded(2, 8, at=clock.now() - timedelta(hours=1), region="us-west")
    assert (_reading("us-west").load, _reading("us-west").expected) == (None, 0.0), (
        "nothing was measured anywhere"
    )
    connections.snapshot()
    for expected in (4, 2):
        tasks.decide()
        assert (_instances()[0].region, _instances()[0].to) == ("us-west", expected)
        monkeypatch.setenv("SCALING_SHRINK_AFTER", "0s")
    tasks.decide()
    assert [one.to for one in _instances()] == [2, 4, 8]
    with database.transaction() as db:
        assert store.latest(db)["us-west", Resource.CONNECTION_POOL].to == 200
        assert [
            one.region for one in readings(db, ScalingPolicy(), now=clock.now()) if one.region == "us-west"
        ] == []


def test_people_of_a_node_that_fell_silent_are_not_gone() -> None:
    _recorded(2, 8, at=clock.now() - timedelta(hours=1), region="us-west")
    balancing.report(Report("n1", "us-west", "ws://n1", 10, 0))
    connections.snapshot()
    assert _reading("us-west").load is None


def test_an_emergency_is_carried_out_also_where_no_wedding_is() -> None:
    with database.transaction() as db:
        orders.give(db, Order("us-west", Kind.EMERGENCY, "a test", "tester", clock.now(), value=9))
    tasks.decide()
    assert [(one.region, one.to, one.reason) for one in _instances()] == [
        ("us-west", 9, rules.Reason.EMERGENCY)
    ]


def test_a_system_that_has_less_than_the_least_is_brought_to_it() -> None:
    redis.cache_server().config_set("maxmemory", "100mb")
    tasks.decide()
    with database.transaction() as db:
        [action] = [one for one in store.recent(db) if one.resource is Resource.CACHE_MB]
    assert (action.before, action.to, action.state) == (100, 256, State.CONFIRMED)


def test_what_somebody_gave_stays_while_nothing_else_is_wanted() -> None:
    redis.cache_server().config_set("maxmemory", "900mb")
    tasks.decide()
    with database.transaction() as db:
        assert [one for one in store.recent(db) if one.resource is Resource.CACHE_MB] == []


def test_old_actions_are_forgotten_but_for_the_newest() -> None:
    _recorded(2, 3, 4, 5, at=NOON)
    with database.transaction() as db:
        asked = scaled(db, expected_previous_id=3, purpose=Purpose.ABOVE_CAP, to=14)
        scaled(db, expected_previous_id=asked, purpose=Purpose.ABOVE_CAP, to=15)
        proposals.settle(db, asked, State.REJECTED, by="tester", at=NOON, problem=REJECTED)
    assert retention.drop(before=NOON, enough=9) == ({}, [])
    assert retention.drop(before=NOON + timedelta(seconds=1), enough=9) == ({"scaling_actions": 2}, [])
    # What somebody said of it is kept for good.
    assert [one.to for one in _instances()] == [15, 14, 5]


def test_what_is_no_number_loses_nobody_a_decision() -> None:
    odd = Reading(
        region=REGION, has=2, load=5_000.0, expected=1.0, pressure=float("inf"), lately=float("nan")
    )
    fine = Reading(region="us-west", has=2, load=5_000.0, expected=1.0)
    with database.transaction() as db:
        both = [(one, rules.decide(one, ScalingPolicy(), now=NOON)) for one in (odd, fine)]
        deciding.record(db, both, ScalingPolicy(), now=NOON)
    assert sorted((one.region, one.to, one.state) for one in _instances()) == [
        (REGION, 7, State.APPROVED), ("us-west", 7, State.APPROVED),
    ]  # fmt: skip


def test_who_rejects_late_is_not_asked_again_at_once() -> None:
    first = Reading(region=REGION, has=10, load=9_000.0, expected=0.0, changed_at=NOON - timedelta(hours=1))
    _decide(first, NOON)
    asked, late = _instances()[0].id, NOON + timedelta(minutes=118)
    with database.transaction() as db:
        proposals.settle(db, asked, State.REJECTED, by="tester", at=late, problem=REJECTED)
    _decide(replace(first, expected_previous_id=asked), late + timedelta(minutes=5))
    assert len(_proposals()) == 1
    _decide(replace(first, expected_previous_id=asked), late + timedelta(hours=3))
    assert len(_proposals()) == 2


def test_a_gateway_that_writes_nonsense_confirms_nothing() -> None:
    _recorded(2, 6, at=NOON)
    _verify()
    for nonsense in ("v1.2", "1000000000", ""):
        redis.registry().hset(keys.CONFIRMED + REGION, "gateway-1", nonsense)
        _verify()
        assert _instances()[0].state is State.APPLIED
    redis.registry().hset(keys.DESIRED + REGION, "instances", "many")
    redis.registry().hset(keys.CONFIRMED + REGION, "gateway-2", _instances()[0].id)
    _verify()
    assert _instances()[0].state is State.CONFIRMED


def _verify() -> None:
    due_now()
    tasks.verify()
