"""A real worker that goes round and takes nothing shows no sign of life.

A message that comes back for ever is given up.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from time import sleep

import pytest
from celery.exceptions import Retry
from sqlalchemy import text

from tests import ROOT
from tests.made import eventually
from workers.foundation import background, broker, database, dead_letters, heartbeat, messages, redis
from workers.foundation.dead_letters import enveloped

pytestmark = pytest.mark.usefixtures("world")

#: A worker that loses its pool's only slot when told to by a file.
LOSES_SLOT = """
import os, sys
from celery import signals
from workers.app import app

@signals.worker_ready.connect
def _ready(sender=None, **_later):
    def _lose():
        if os.path.exists(sys.argv[1]):
            sender.controller.semaphore.acquire(lambda: None)
    sender.timer.call_repeatedly(0.2, _lose)

app.worker_main(["worker", "-Q", "bulk", "-c", "1", "-n", "loses@%h", "--without-gossip", "--without-mingle"])
"""


@contextmanager
def _worker(folder: Path) -> Iterator[Path]:
    """Yield a worker's sign of life."""
    sign = folder / "life"
    with subprocess.Popen(
        [sys.executable, "-c", LOSES_SLOT, str(folder / "lose")],
        cwd=ROOT,
        env=os.environ | {heartbeat.VARIABLE: str(sign)},
    ) as process:
        try:
            assert eventually(sign.exists, within=30)
            yield sign
        finally:
            process.kill()


@contextmanager
def _replica() -> Iterator[None]:
    redis.registry().replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        redis.registry().replicaof("NO", "ONE")


@contextmanager
def _without_replicas() -> Iterator[None]:
    redis.registry().config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        redis.registry().config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("refusing", [_replica, _without_replicas])
def test_a_worker_waits_for_a_broker_that_takes_no_writes(
    tmp_path: Path, refusing: Callable[[], AbstractContextManager[None]]
) -> None:
    with _worker(tmp_path) as sign:
        for _ in range(2):
            with refusing():
                sleep(3)
        # _worker's process is the same: a new one would show no sign of life.
        assert _beats(sign, 5)
        redis.registry().lpush("bulk", enveloped("no.such", "i", [], {}, "bulk"))
        assert eventually(dead_letters.count, within=10)


def _beats(sign: Path, within: float) -> bool:
    before = sign.stat().st_mtime_ns
    return eventually(lambda: sign.stat().st_mtime_ns != before, within=within)


def test_a_worker_that_lost_its_slot_shows_no_sign_of_life(tmp_path: Path) -> None:
    with _worker(tmp_path) as sign:
        assert _beats(sign, 5)
        (tmp_path / "lose").touch()
        assert eventually(lambda: not _beats(sign, 3), within=20)


def test_a_message_that_was_put_back_too_often_is_kept_aside_and_may_be_sent_again(tmp_path: Path) -> None:
    message = json.loads(enveloped("caching.warm_up", "i", [], {"wedding_id": "w-404"}, "bulk"))
    message["headers"]["restored"] = messages.RESTORED_MAX + 1
    with _worker(tmp_path):
        redis.registry().lpush("bulk", json.dumps(message))
        assert eventually(dead_letters.count, within=20)
        [letter] = dead_letters.newest()
        assert "may be what ends its worker" in letter.reason
        dead_letters.replay(letter.id)
        assert eventually(lambda: redis.registry().llen("bulk") == 0)
        assert eventually(lambda: dead_letters.count() == 0)


def test_each_time_a_message_is_put_back_it_says_so() -> None:
    from workers.app import app

    app.send_task("caching.warm_up", kwargs={"wedding_id": "w-1"})
    with app.connection_for_read(transport=f"{broker.__name__}:Transport") as connection:
        channel = connection.channel()
        for often in (1, 2, 3):
            message = channel.basic_get("warm_up")
            assert message
            channel.basic_reject(message.delivery_tag, requeue=True)
            assert json.loads(redis.registry().lindex("warm_up", -1))["headers"]["restored"] == often


def test_a_message_whose_content_is_refused_is_kept_whole() -> None:
    from workers.app import app

    fields = {"wedding_id": "Anna Smith +49 170 1234567", "request_key": "k"}
    task = app.tasks["caching.warm_up"]
    task.push_request(
        id="i", kwargs=fields, args=[], called_directly=False, delivery_info={"routing_key": "bulk"}
    )
    try:
        task(**fields)
    finally:
        task.pop_request()
    [letter] = dead_letters.newest()
    assert letter.reason.startswith("caching.warm_up refused: wedding_id: String should match pattern")
    assert "Anna" not in letter.reason
    assert json.loads(letter.message)["headers"]["task"] == "caching.warm_up"


def test_of_many_who_send_a_dead_letter_again_at_once_one_does() -> None:
    for _ in range(5):
        dead_letters.keep("bulk", "a reason", enveloped("caching.warm_up", "i", [], {}, "bulk"))
        [letter] = dead_letters.newest(1)
        redis.registry().delete("bulk")
        done = background.within(20, *[partial(dead_letters.replay, letter.id)] * 6)
        assert sum(isinstance(one, dead_letters.Letter) for one in done) == 1
        assert sum(isinstance(one, dead_letters.LetterUnknown) for one in done) == 5
        assert redis.registry().llen("bulk") == 1


@pytest.mark.parametrize("id", ["1-2-3", "1--2", "٣", "٣-٣", "99999999999999999999999-0", "x", ""])
def test_what_is_no_letter_is_said_so(id: str) -> None:
    with pytest.raises(dead_letters.LetterUnknown):
        dead_letters.replay(id)


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        (
            {"expires": "2020-01-01T00:00:00Z"},
            [[], {"wedding_id": "w-1"}, {}],
            "it expired before a worker took it",
        ),
        ({}, [[], [["wedding_id", "w-1"]], {}], "body must be [args, kwargs, embed]"),
        ({}, [[], {"wedding_id": "w-1"}, "abc"], "body must be [args, kwargs, embed]"),
        ({}, [[], {"wedding_id": "w-1"}, [1]], "body must be [args, kwargs, embed]"),
        ({"job": 5}, [[], {"wedding_id": "w-1"}, {}], "headers.job is beat's own"),
        (
            {},
            [[], {"wedding_id": "\ud800"}, {}],
            "caching.warm_up refused: wedding_id: Input should be a valid string",
        ),
        (
            {"id": "a b"},
            [[], {"wedding_id": "w-1"}, {}],
            "caching.warm_up refused: request_key: String should match pattern",
        ),
    ],
)
def test_what_is_not_done_is_kept_with_its_reason(
    tmp_path: Path, headers: dict[str, object], body: list[object], says: str
) -> None:
    message = json.loads(enveloped("caching.warm_up", "i", [], {}, "bulk"))
    message["headers"] |= headers
    message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    with _worker(tmp_path):
        redis.registry().lpush("bulk", json.dumps(message))
        assert eventually(dead_letters.count, within=20)
    [letter] = dead_letters.newest()
    assert letter.reason.startswith(says)
    assert letter.message
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM requests")).scalar_one() == 0


@pytest.mark.parametrize("error", [redis.UNREACHABLE[1]("slow"), database.DatabaseUnavailable(cause="gone")])
def test_a_message_that_meets_a_server_that_is_unavailable_is_sent_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.app import app

    def _fail(**_fields: object) -> None:
        raise error

    task = app.tasks["caching.warm_up"]
    monkeypatch.setattr(task, "run", _fail)
    task.push_request(
        id="i", kwargs={}, args=[], called_directly=False, delivery_info={"routing_key": "warm_up"}
    )
    try:
        with pytest.raises(Retry):
            task()
    finally:
        task.pop_request()
    assert redis.registry().llen("warm_up") == 1
