"""Who did what is written down; what somebody wants forgotten is deleted."""

import re

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from tests.made import NOON, wedding
from tests.unit.cli.test_command_lines import _leaves
from workers.access.store import audit as log
from workers.access.usecases import audit, forgetting
from workers.cli import audited, main
from workers.connections.store import revocations
from workers.delivery.usecases import sending
from workers.foundation import clock, database, redis
from workers.retention import store as retention
from workers.weddings.store import weddings
from workers.weddings.store.weddings import WeddingUnknown

pytestmark = pytest.mark.usefixtures("world")


def run(*words: str) -> Result:
    return CliRunner().invoke(main.wedops, list(words))


def deeds() -> list[tuple[str, str, str, str]]:
    found = audit.deeds(NOON, limit=100)
    return [(one.who, one.action, one.subject, one.outcome) for one in found]


@pytest.fixture(autouse=True)
def calendar(world: object) -> None:
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1"), wedding("w-2")], at=NOON)


def test_what_changes_something_is_written_down_with_what_came_of_it() -> None:
    assert run("suppliers", "limit", "s1", "300").exit_code == 0
    assert run("suppliers", "limit", "s1", "1").exit_code != 0
    run("permit", "revoke", "--user", "ada", "--reason", "lost", "--by", "ben")
    run("weddings", "show", "w-1")
    run("status")
    run("suppliers", "limits")
    run("suppliers", "limit", "--help")
    mine = [(action, subject, outcome) for who, action, subject, outcome in deeds() if who != "ben"]
    assert mine == [("suppliers limit", "s1", "done"), ("suppliers limit", "s1", "LimitRefused")]
    assert ("ben", "permit revoke", "ada", "done") in deeds()


def test_what_services_had_done_stands_beside_it() -> None:
    run("request", "warm-up", "w-1", "--key", "k1")
    found = [one for one in audit.deeds(NOON, subject="w-1", limit=10) if one.kind == "service"]
    assert [(one.action, one.source) for one in found] == [("caching.warm_up", "broker")]
    assert "caching.warm_up w-1" in run("audit", "--about", "w-1").output
    assert run("audit", "--json").output.startswith('{"schema":"wedops.audit/1"')


def test_no_secret_is_written_down() -> None:
    run("contacts", "add", "planner", "mailtos://user:hunter2@example.org")
    with database.transaction() as db:
        assert not re.search("hunter2|example", str(list(db.execute(select(log.log)))))


def test_each_command_is_audited_or_known_to_look() -> None:
    names = {" ".join(path) for path, _ in _leaves(main.wedops)}
    groups = {"nodes", "responses", "dead-letters", "plan"}
    assert audited.LOOKS - names - groups == set()
    for changing in (
        "migrate",
        "forget",
        "permit issue",
        "messages send",
        "emergency open",
        "run",
        "cache clear",
    ):
        assert audited.changes(changing, [])
    assert audited.changes("weddings timeline", ["w-1", "--set", "[]"])
    assert not audited.changes("weddings timeline", ["w-1"])
    assert audited.changes("grants", ["--apply"])


def test_a_wedding_is_forgotten_in_all_rooms_but_what_law_keeps() -> None:
    asked = {"wedding_id": "w-1", "headline": "Tell all"}
    sending.send(asked, sender="ops", now=NOON, machine=clock.machine_now())
    with pytest.raises(WeddingUnknown):
        forgetting.forget_wedding("w-9", by="ada", now=clock.now(), machine=clock.machine_now())
    with pytest.raises(forgetting.WeddingNear):
        forgetting.forget_wedding("w-1", by="ada", now=NOON, machine=clock.machine_now())
    said = run("forget", "--wedding", "w-1", "--yes")
    assert said.exit_code == 0, said.output
    assert "weddings: 1 deleted" in said.output
    assert "audit_log: kept" in said.output
    assert _tables_with("w-1") <= set(forgetting.KEPT)
    assert {"weddings", "wedding_versions"} <= _tables_with("w-2")
    assert [(one.whose, one.id) for one in revocations.read()] == [("wedding", "w-1")]


def _tables_with(wedding_id: str) -> set[str]:
    found = set()
    with database.transaction() as db:
        for table in database.metadata.sorted_tables:
            column = table.c.get("wedding_id", table.c.id if table.name in retention.OF_WEDDINGS else None)
            if column is not None and db.execute(select(table).where(column == wedding_id)).first():
                found.add(table.name)
    return found


def test_a_person_is_forgotten_where_they_were_reached() -> None:
    asked = {"wedding_id": "w-1", "headline": "Tell all"}
    sending.send(asked, sender="ops", now=NOON, machine=clock.machine_now())
    assert "message_recipients: 1 deleted" in run("forget", "--person", "s1", "--yes").output
    assert run("forget", "--person", "ada", "--wedding", "w-1", "--yes").exit_code == 2
    assert redis.connections().hlen("wedops:revoked") == 1
