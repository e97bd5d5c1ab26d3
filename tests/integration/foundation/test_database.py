"""Migrations, bulk, and servers that are away."""

import os
import re
import signal
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.made import NOON
from workers.forecasting.store import forecasts as forecasting
from workers.foundation import circuits, database, redis, schema, settings
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as scaling
from workers.scaling.store import orders
from workers.scaling.usecases.modes import in_shadow
from workers.weddings.store import versions

pytestmark = pytest.mark.usefixtures("world")


def test_the_migrations_make_the_tables_that_the_rooms_declare() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.transaction() as db:

        def ours(item: Any, name: str | None, kind: str, *_rest: object) -> bool:
            full = f"{item.table.name}.{name}" if kind == "column" else name
            return full not in schema.LEAVING and not (kind == "table" and re.search(r"_20\d{6}$", str(name)))

        context = MigrationContext.configure(db, opts={"include_object": ours})
        differences = compare_metadata(context, database.metadata)
        assert [difference for difference in differences if "alembic_version" not in str(difference)] == []
        assert schema.revisions(db)[0] == schema.revisions(db)[1]


def test_migrating_again_changes_nothing() -> None:
    schema.upgrade()
    schema.upgrade()


_ROWS = (
    "INSERT INTO weddings VALUES ('w-1', '2026-10-10 12:00', '2026-10-10 18:00', 'UTC', '2026-10-10 12:00Z', "
    "'2026-10-10 18:00Z', 100, 'garden', 'us-west', 'confirmed', '{s1}', '{}', 'd', 3, '2026-10-09 00:00Z')",
    "INSERT INTO scaling_actions (region, resource, from_value, to_value, reason, inputs, asked_by, state, "
    "follows, "
    "created_at) VALUES ('us-west', 'instances', 2, 6, 'demand', '{}', 'schedule', 'confirmed', 0, "
    "'2026-10-09 00:00Z')",
    "INSERT INTO scaling_prediction_sets (region, calendar_version, made_at, starts_at, step_seconds, ratio, "
    "p50, p90, p99) "
    "VALUES ('us-west', 3, '2026-10-10 10:00Z', '2026-10-10 10:00Z', 300, 1, '{1,2}', '{2,3}', '{3,4}')",
)


def test_an_upgrade_keeps_what_is_there_and_who_acted_acts_on() -> None:
    """From the revision before forecasts were judged and regions could only watch."""
    url = settings.servers().database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as db:
        db.execute(text("DROP DATABASE IF EXISTS wedops_before"))
        db.execute(text("CREATE DATABASE wedops_before"))
    before = create_engine(url.rpartition("/")[0] + "/wedops_before")
    try:
        with before.begin() as db:
            schema.migrate_to(db, "0002")
            for statement in _ROWS:
                db.execute(text(statement))
        with before.begin() as db:
            schema.migrate_to(db)
        with before.begin() as db:
            assert scaling.latest(db)["us-west", Resource.INSTANCES].to == 6
            assert in_shadow(db, Policy(), orders.active(db, at=NOON)) == ["everywhere"]
            assert [
                one.id
                for one in versions.as_known(db, NOON - timedelta(days=30), NOON, NOON + timedelta(days=1))
            ] == ["w-1"]
            since = NOON - timedelta(days=1)
            assert forecasting.pairs(db, timedelta(minutes=5), since=since, until=NOON) == [], (
                "without the newest quantile"
            )
            assert forecasting.peaks(db, NOON - timedelta(hours=2), NOON)["us-west"]["p90"] == 3
    finally:
        before.dispose()
        with server.connect() as db:
            db.execute(text("DROP DATABASE wedops_before"))
        server.dispose()


def test_functions_of_another_version_are_found_and_replaced() -> None:
    client = redis.registry()
    assert redis.outdated_functions() == []
    client.function_load(
        "#!lua name=wedops_connections\nredis.register_function('x', function() return 1 end)", replace=True
    )
    assert redis.outdated_functions() == ["wedops_connections"]
    redis.load_functions()
    assert redis.outdated_functions() == []


def _login(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("WEDOPS_DATABASE_URL", url)


@pytest.mark.parametrize("field", ["password", "username", "database"])
def test_who_is_not_let_in_opens_no_circuit_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    right = os.environ["WEDOPS_DATABASE_URL"]
    wrong = make_url(right).set(**{field: "nobody"}).render_as_string(hide_password=False)
    _login(monkeypatch, wrong)
    for _ in range(7):
        with (
            pytest.raises(database.LoginRefused, match="mend user, password or database"),
            database.transaction(),
        ):
            pass
    assert [one for one in circuits.known() if one.failures or one.state != "closed"] == []
    _login(monkeypatch, right)
    with database.transaction() as db:
        assert db.execute(text("SELECT 1")).scalar_one() == 1


def test_a_server_that_is_away_opens_the_circuit_of_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    right = os.environ["WEDOPS_DATABASE_URL"]
    _login(monkeypatch, make_url(right).set(port=1).render_as_string(hide_password=False))
    for _ in range(6):
        with pytest.raises(database.DatabaseUnavailable), database.transaction():
            pass
    assert [one.dependency for one in circuits.known() if one.state == "open"] == [
        "database 127.0.0.1:1 as wedops"
    ]
    _login(monkeypatch, right)
    with database.transaction():
        pass


def test_an_error_of_the_database_quotes_no_parameter() -> None:
    with pytest.raises(DBAPIError) as error, database.transaction() as db:
        db.execute(text("SELECT 1 / :zero, :address"), {"zero": 0, "address": "ada@example.com"})
    assert "ada@" not in str(error.value)


class _Late(Exception):
    """A soft time limit: raised by a signal, wherever the task is."""


def test_a_statement_that_a_time_limit_struck_breaks_nobody_elses() -> None:
    def _strike(*_signal: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, _strike)
    try:
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(_Late), database.transaction() as db:
                db.execute(text("SELECT pg_sleep(2)"))
            with database.transaction() as db:
                assert db.execute(text("SELECT 42")).scalar_one() == 42
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
