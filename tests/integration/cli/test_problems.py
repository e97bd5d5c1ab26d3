"""A server that answers with an error.

One line with its remedy, from a command and from doctor; never a traceback.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url, text

from tests.unit.weddings.test_formats import GOOD, HEADER
from workers.cli.main import wedops
from workers.cli.problems import one_line
from workers.foundation import database, redis

pytestmark = pytest.mark.usefixtures("world")


def _says(*words: str) -> str:
    """Return the line that a person gets."""
    done = CliRunner().invoke(wedops, words)
    assert done.exception
    line = one_line(done.exception)
    assert line, done.exception
    assert "\n" not in line
    return line


@contextmanager
def _broker_as(*ways: str) -> Iterator[None]:
    """Be on the broker as somebody who may not do everything."""
    before = redis.registry()
    before.execute_command("ACL SETUSER", "half", "on", ">half", "~*", "&*", "+@all", *ways)
    url = make_url(os.environ["WEDOPS_BROKER_URL"]).set(username="half", password="half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEDOPS_BROKER_URL", url.render_as_string(hide_password=False))
        try:
            yield
        finally:
            before.execute_command("ACL DELUSER", "half")


@contextmanager
def _replica() -> Iterator[None]:
    server = redis.registry()
    server.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        server.replicaof("NO", "ONE")


@contextmanager
def _full() -> Iterator[None]:
    server = redis.registry()
    server.config_set("maxmemory", "1")
    try:
        yield
    finally:
        server.config_set("maxmemory", "1gb")


Way = Callable[[], AbstractContextManager[None]]
BROKER: list[tuple[Way, str, str]] = [
    (_replica, "read only replica", "point its WEDOPS_…_URL to the primary"),
    (_full, "maxmemory", "raise maxmemory"),
    (lambda: _broker_as("-set"), "NOPERM|no permissions", "grant its user the command"),
]


@pytest.mark.parametrize(("way", "answer", "remedy"), BROKER, ids=["replica", "full", "rights"])
def test_what_the_broker_refuses_is_one_line_with_its_remedy(way: Way, answer: str, remedy: str) -> None:
    with way():
        line = _says("emergency-mode", "on")
    assert any(word in line for word in answer.split("|"))
    assert remedy in line


def test_doctor_says_what_a_server_without_config_does_not_offer() -> None:
    with _broker_as("-config"):
        shown = CliRunner().invoke(wedops, ["doctor"]).output
    assert "grant its user the command" in shown
    assert "Traceback" not in shown


@contextmanager
def _database(**changes: object) -> Iterator[None]:
    url = make_url(os.environ["WEDOPS_DATABASE_URL"]).set(**changes)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEDOPS_DATABASE_URL", url.render_as_string(hide_password=False))
        # What a role is set to holds from a connection's beginning on.
        database.engine().dispose()
        yield
    database.engine().dispose()


def test_a_database_that_is_read_only_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "season.csv"
    file.write_text(HEADER + GOOD)
    with database.transaction() as db:
        db.execute(text("ALTER ROLE wedops SET default_transaction_read_only = on"))
    try:
        with _database():
            line = _says("weddings", "import", str(file))
            # A look changes nothing, so it works there.
            checked = CliRunner().invoke(wedops, ["weddings", "import", "--check", str(file)])
    finally:
        with _database(), database.engine().connect() as db:
            db.execute(text("SET default_transaction_read_only = off"))
            db.commit()
            db.execute(text("ALTER ROLE wedops RESET default_transaction_read_only"))
            db.commit()
    assert "it is read-only: point WEDOPS_DATABASE_URL to the primary" in line
    assert "would add 1" in checked.output


def test_a_user_without_rights_is_told_the_grant() -> None:
    with database.transaction() as db:
        db.execute(text("CREATE ROLE halfway LOGIN PASSWORD 'halfway'"))
        # Roles that were applied leave database and schema to those that they name.
        db.execute(text("GRANT CONNECT ON DATABASE wedops TO halfway"))
        db.execute(text("GRANT USAGE ON SCHEMA public TO halfway"))
    try:
        with _database(username="halfway", password="halfway"):
            assert "GRANT USAGE, CREATE ON SCHEMA public" in _says("weddings", "next")
        with database.transaction() as db:
            db.execute(text("REVOKE USAGE ON SCHEMA public FROM PUBLIC, halfway"))
        # What a login may not see is not there for it.
        with _database(username="halfway", password="halfway"):
            assert "shows this login none" in _says("weddings", "next")
    finally:
        with database.transaction() as db:
            db.execute(text("GRANT USAGE ON SCHEMA public TO PUBLIC"))
            db.execute(text("DROP OWNED BY halfway"))
            db.execute(text("DROP ROLE halfway"))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "give it to the user that runs this"),
        (errno.ENOTDIR, "a file stands where a folder should"),
        (errno.ECONNRESET, None),
    ],
)
def test_what_the_machine_refuses_names_its_own_cause(number: int, says: str | None) -> None:
    line = one_line(OSError(number, os.strerror(number), "/somewhere"))
    assert line is None if says is None else line is not None and says in line and "/somewhere" in line
