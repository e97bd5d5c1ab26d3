"""Emergencies with their steps."""

import pytest

from tests.made import NOON, wedding
from workers.emergencies import rules, store, tasks
from workers.foundation import database
from workers.notify import store as notify
from workers.requests.rules import EmergencyKind
from workers.weddings import store as weddings

pytestmark = pytest.mark.usefixtures("world")


@pytest.mark.parametrize("kind", list(EmergencyKind))
def test_an_emergency_begins_its_protocol_once_and_is_told_once(kind: EmergencyKind) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1")], at=NOON)
    for _ in range(2):
        tasks.open_emergency(kind=str(kind), wedding_id="w-1", request_key="k")
    with database.transaction() as db:
        [emergency] = store.standing(db)
        steps = list(db.execute(store.steps.select().order_by(store.steps.c.number)))
        told = list(db.execute(notify.notifications.select()))
    assert (emergency.kind, emergency.wedding_id) == (kind, "w-1")
    assert [step.due_at - emergency.opened_at for step in steps] == [step.within for step in rules.PROTOCOLS[kind]]
    assert [row.key for row in told] == ["emergency/k/operations/target-1"]
    with database.transaction() as db:
        assert store.close(db, emergency.id, at=NOON)
        assert not store.close(db, emergency.id, at=NOON)
        assert store.standing(db) == []
