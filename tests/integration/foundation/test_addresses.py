"""A database behind a pooler, on several hosts, or with a schema of its own.

What the address says is done.
"""

import os

import pytest
from sqlalchemy import text

from tests import pooler
from workers.foundation import addresses, database, schema
from workers.processes import servers

pytestmark = pytest.mark.usefixtures("world")


def _to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("WEDOPS_DATABASE_URL", url)


def _shown(name: str) -> str:
    with database.transaction() as db:
        return str(db.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())


@pytest.mark.parametrize(
    "lines", [(), ("ignore_startup_parameters = options,extra_float_digits",)], ids=["refuses", "ignores"]
)
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_behind_a_pooler_timeouts_hold_and_no_statement_is_prepared(
    monkeypatch: pytest.MonkeyPatch, mode: str, lines: tuple[str, ...]
) -> None:
    with pooler.pgbouncer(*lines, mode=mode) as url:
        _to(monkeypatch, f"{url}?options=-c%20work_mem%3D8MB")
        for _ in range(12):
            with database.transaction() as first, database.transaction() as second:
                for db in (first, second):
                    assert db.execute(text("SELECT :n + 1"), {"n": 1}).scalar_one() == 2
                    assert db.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0
        assert [_shown(name) for name in ("statement_timeout", "lock_timeout", "timezone", "work_mem")] == [
            "20s", "5s", "UTC", "8MB",
        ]  # fmt: skip
        database.engine().dispose()


def test_a_direct_connection_has_the_same_settings_without_asking_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _to(
        monkeypatch,
        os.environ["WEDOPS_DATABASE_URL"] + "?options=-cwork_mem%3D8MB%20-cstatement_timeout%3D7000",
    )
    assert [_shown(name) for name in ("statement_timeout", "lock_timeout", "work_mem")] == ["7s", "5s", "8MB"]


def test_tables_are_made_in_the_schema_that_the_address_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with database.transaction() as db:
        db.execute(text("CREATE SCHEMA planner"))
    try:
        _to(monkeypatch, os.environ["WEDOPS_DATABASE_URL"] + "?options=-csearch_path%3Dplanner")
        schema.upgrade()
        with database.transaction() as db:
            assert db.execute(text("SELECT count(*) FROM planner.weddings")).scalar_one() == 0
            assert schema.revisions(db)[0] == schema.revisions(db)[1]
    finally:
        monkeypatch.undo()
        database.engine().dispose()
        with database.transaction() as db:
            db.execute(text("DROP SCHEMA planner CASCADE"))


def test_of_several_hosts_the_one_that_takes_writes_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    to, nobody = addresses.postgres(os.environ["WEDOPS_DATABASE_URL"]), servers.free_port()
    login = f"{to['user']}:{to['password']}"
    where = f"127.0.0.1:{nobody},127.0.0.1:{to['port']}/{to['dbname']}?target_session_attrs=read-write"
    _to(monkeypatch, f"postgresql://{login}@{where}")
    database.probe()
    assert _shown("transaction_read_only") == "off"
