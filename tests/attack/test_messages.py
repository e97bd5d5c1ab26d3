"""Who may write to a queue, and signs nothing, another's message or what is not offered to them."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.made import eventually, wedding
from workers.app import app
from workers.commands.usecases import commands
from workers.foundation import clock, database, dead_letters, redis, signatures
from workers.foundation.dead_letters import enveloped
from workers.weddings.store import weddings

KEYS = "wedops:our-own-secret-of-32-characters-or-more,planner:planner-secret-of-32-characters-or-more"


@pytest.fixture
def worker(world: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a worker that takes signed messages only; this process signs as one of ours."""
    monkeypatch.setenv("COMMANDS_KEYS", KEYS)
    monkeypatch.setenv("COMMANDS_SIGNED", "required")
    with database.transaction() as db:
        weddings.upsert(db, [wedding()], at=clock.now())
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-n", "signed@%h", "-c", "1"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
        [*command, "-Q", "warm_up,steady,bulk", "--without-gossip", "--without-mingle"],
        cwd=ROOT, env=dict(os.environ), stdout=log, stderr=log,
    ) as process:  # fmt: skip
        yield
        process.terminate()
        process.wait(30)


def push(task: str, queue: str, caller: str | None, **fields: Any) -> dict[str, Any]:
    """Write a message into a queue as any language does, signed by a caller or by nobody."""
    message = json.loads(enveloped(task, f"id-of-{fields.get('request_key', task)}", [], fields, queue))
    if caller:
        signatures.sign(message, KEYS, caller=caller)
    redis.registry().lpush(queue, json.dumps(message))
    return message


def became(key: str) -> tuple[str, str] | None:
    found = commands.find(key)
    return (found.state, found.caller) if found else None


def refusals() -> str:
    return " ".join(letter.reason for letter in dead_letters.newest())


def test_a_worker_takes_what_proves_its_sender_and_keeps_the_rest_aside(worker: None) -> None:
    push("caching.warm_up", "warm_up", "planner", wedding_id="w-1", request_key="signed")
    assert eventually(lambda: became("signed") == ("done", "planner"), within=40)

    push("caching.warm_up", "warm_up", None, wedding_id="w-1", request_key="unsigned")
    assert eventually(lambda: "it is not signed" in refusals())
    forged = push("caching.warm_up", "warm_up", None, wedding_id="w-1", request_key="forged")
    forged["headers"]["signature"] = {
        "caller": "wedops",
        "at": clock.machine_now().isoformat(),
        "mac": "0" * 64,
    }
    redis.registry().lpush("warm_up", json.dumps(forged))
    assert eventually(lambda: "of no key in COMMANDS_KEYS" in refusals())
    # A message of theirs with another body in it.
    moved = push("caching.warm_up", "bulk", "planner", wedding_id="w-1", request_key="mine")
    moved["body"] = forged["body"]
    redis.registry().lpush("warm_up", json.dumps(moved))
    # What is not offered to services: theirs are few.
    push("retention.forget", "bulk", "planner")
    assert eventually(lambda: "retention.forget is no task for 'planner'" in refusals())
    assert became("unsigned") is None
    assert became("forged") is None

    # What Celery would send afterwards, in our name.
    chained = push("caching.warm_up", "bulk", None, wedding_id="w-1", request_key="chained")
    for embed in ({"callbacks": [{"task": "retention.forget"}]}, {"chain": [{"task": "retention.forget"}]}):
        body = json.dumps([[], {"wedding_id": "w-1"}, embed])
        chained["body"] = base64.b64encode(body.encode()).decode()
        signatures.sign(chained, KEYS, caller="planner")
        redis.registry().lpush("warm_up", json.dumps(chained))
    assert eventually(lambda: "callbacks is not taken here" in refusals())
    assert eventually(lambda: "chain is not taken here" in refusals())
    # Protocol 1 has its options in the body.
    first = {
        **chained,
        "headers": {},
        "body": base64.b64encode(b'{"task": "retention.forget", "id": "i"}').decode(),
    }
    signatures.sign(first, KEYS, caller="planner")
    redis.registry().lpush("warm_up", json.dumps(first))
    assert eventually(lambda: "protocol 2" in refusals())

    # Ours goes through, and who asked stands in its row.
    commands.accept("caching.warm_up", {"wedding_id": "w-1", "request_key": "ours"}, caller="somebody")
    assert eventually(lambda: became("ours") == ("done", "somebody"), within=40)


def test_remote_control_still_reaches_workers(worker: None) -> None:
    assert eventually(lambda: app.control.inspect(timeout=1).ping() or False, within=40)


def test_the_same_message_again_changes_nothing(worker: None) -> None:
    message = push("caching.warm_up", "warm_up", "planner", wedding_id="w-1", request_key="once")
    assert eventually(lambda: became("once") == ("done", "planner"), within=40)
    for _ in range(20):
        redis.registry().lpush("warm_up", json.dumps(message))
    assert eventually(lambda: redis.registry().llen("warm_up") == 0)
    with database.transaction() as db:
        [many] = db.exec_driver_sql("SELECT count(*) FROM requests WHERE key = 'once'").scalars()
    assert many == 1
