"""Back up, lose everything, restore, go on: as docs/guides/deploying.md says it."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.conftest import HOME
from tests.made import NOON, wedding
from workers import client
from workers.app import app
from workers.cli.main import wedops
from workers.commands.store import requests as kept
from workers.commands.tasks import redeliver
from workers.commands.usecases import commands
from workers.foundation import database, redis, schema
from workers.processes import programs
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

NAME = "wedops_lost"


def _connect(name: str, patch: pytest.MonkeyPatch) -> str:
    database.engine().dispose()
    url = os.environ["WEDOPS_DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    patch.setenv("WEDOPS_DATABASE_URL", url)
    return url


def _server(statement: str) -> None:
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text(statement))


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a database of its own, which is dropped afterwards."""
    _server(f"CREATE DATABASE {NAME}")
    try:
        yield _connect(NAME, monkeypatch)
    finally:
        monkeypatch.undo()
        _connect("wedops", monkeypatch)
        _server(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        monkeypatch.undo()
        redis.load_functions()


def _run(program: str, *words: str) -> None:
    binary = programs.postgres(HOME) / program
    subprocess.run([str(binary), *words], check=True, capture_output=True, text=True, timeout=120)


def test_what_was_accepted_before_a_backup_is_done_after_a_restore(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade()
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-1", starts_at=NOON)], at=NOON)
    client.open_emergency("venue", "w-1", request_key="before-the-fire")
    dump = tmp_path / "wedops.dump"
    _run("pg_dump", "--format=custom", f"--file={dump}", lost)

    # Both are lost: database and Redis.
    _connect("wedops", monkeypatch)
    _server(f"DROP DATABASE {NAME} WITH (FORCE)")
    _server(f"CREATE DATABASE {NAME}")
    redis.registry().flushall()
    redis.registry().function_flush()

    _run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={lost}", str(dump))
    _connect(NAME, monkeypatch)
    migrated = CliRunner().invoke(wedops, ["migrate"])
    assert migrated.exit_code == 0, migrated.output

    with database.transaction() as db:
        assert [one.id for one in weddings.by_id(db, ["w-1"])] == ["w-1"]
        assert kept.waiting(db) == 1
    # What was accepted is sent again from its row, and done once, however often it is taken.
    with database.transaction() as db:
        db.execute(text("UPDATE outbox SET due_at = now()"))
    redeliver()
    [message] = redis.registry().lrange("emergency", 0, -1)
    kwargs = json.loads(base64.b64decode(json.loads(message)["body"]))[1]
    for _ in range(2):
        app.tasks["emergencies.open"].apply(kwargs=kwargs)
    assert (found := client.find("before-the-fire"))
    assert found.state == "done"
    with database.transaction() as db:
        assert db.execute(text("SELECT count(*) FROM emergencies")).scalar_one() == 1
    with pytest.raises(commands.RequestKeyReused):
        client.open_emergency("weather", "w-1", request_key="before-the-fire")


def test_a_database_of_a_later_version_is_said_with_the_way_back(lost: str) -> None:
    schema.upgrade()
    with database.transaction() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for words in (["migrate"], ["doctor"]):
        done = CliRunner().invoke(wedops, words)
        said = f"{done.output}{done.exception}"
        assert "the database is at revision 9999, newer than this version's" in said
        assert "docs/guides/deploying.md" in said
