"""Emergencies with their steps."""

import pytest

from tests.made import NOON, wedding
from workers.caching import tasks as caching
from workers.commands import store as commands
from workers.commands import usecases
from workers.emergencies import rules, store, tasks
from workers.emergencies.rules import EmergencyKind
from workers.foundation import database
from workers.outbox import store as outbox
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.mark.parametrize("kind", list(EmergencyKind))
def test_an_emergency_begins_its_protocol_once_and_is_told_once(kind: EmergencyKind) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    for _ in range(2):
        tasks.open_emergency(kind=str(kind), wedding_id="w-1", request_key="k")
    with database.transaction() as db:
        [emergency] = store.active(db)
        told = outbox.waiting(db, "notification")
    assert (emergency.kind, emergency.wedding_id) == (kind, "w-1")
    assert [(step.what, step.owner, step.due_at - emergency.opened_at) for step in emergency.steps] == [
        (step.what, step.owner, step.within) for step in rules.PROTOCOLS[kind]
    ]
    assert told == ["emergency/k/operations/target-1"]
    with database.transaction() as db:
        assert store.close(db, [emergency.id], at=NOON) == [emergency.id]
        assert not store.close(db, [emergency.id], at=NOON)
        assert store.active(db) == []


def test_a_second_emergency_of_a_kind_joins_the_first_until_that_is_closed() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    for key in ("a", "b"):
        tasks.open_emergency(kind="venue", wedding_id="w-1", request_key=key)
    tasks.open_emergency(kind="vendor", wedding_id="w-1", request_key="c")
    with database.transaction() as db:
        assert [one.kind for one in store.active(db)] == ["vendor", "venue"]
        assert [commands.find(db, key).effect for key in "abc"] == [
            "emergency 1",
            "emergency 1",
            "emergency 3",
        ]
        assert len(outbox.waiting(db, "notification")) == 2
        assert store.close(db, wedding_id="w-1", at=NOON) == [1, 3]
    tasks.open_emergency(kind="venue", wedding_id="w-1", request_key="d")
    with database.transaction() as db:
        assert [one.id for one in store.active(db)] == [4]


def test_a_key_is_bound_to_what_was_first_asked_under_it_whichever_way_it_came() -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1"), wedding("w-2")], at=NOON)
    tasks.open_emergency(kind="venue", wedding_id="w-1", request_key="k")
    tasks.open_emergency(kind="venue", wedding_id="w-2", request_key="k")
    caching.warm_up(wedding_id="w-1", request_key="k")
    with pytest.raises(usecases.RequestKeyReused, match="was used for something else"):
        usecases.accept(
            "emergencies.open", {"kind": "venue", "wedding_id": "w-2", "request_key": "k"}, caller="ada"
        )
    with database.transaction() as db:
        assert [(one.wedding_id, one.kind) for one in store.active(db)] == [("w-1", "venue")]
        assert commands.find(db, "k").state == "done"
