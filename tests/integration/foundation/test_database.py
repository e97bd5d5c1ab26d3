"""Migrations, bulk, and servers that are away."""

import pytest

from workers.foundation import database, redis, schema

pytestmark = pytest.mark.usefixtures("world")


def test_the_migrations_make_the_tables_that_the_rooms_declare() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.transaction() as db:

        def ours(_object: object, name: str | None, kind: str, *_rest: object) -> bool:
            return not (kind == "table" and str(name).startswith("connection_metrics_2"))

        context = MigrationContext.configure(db, opts={"include_object": ours})
        differences = compare_metadata(context, database.metadata)
        assert [difference for difference in differences if "alembic_version" not in str(difference)] == []
        assert schema.revisions(db)[0] == schema.revisions(db)[1]


def test_migrating_again_changes_nothing() -> None:
    schema.upgrade()
    schema.upgrade()


def test_functions_of_another_version_are_found_and_replaced() -> None:
    client = redis.registry()
    assert redis.outdated_functions() == []
    client.function_load("#!lua name=wedops_connections\nredis.register_function('x', function() return 1 end)", replace=True)
    assert redis.outdated_functions() == ["wedops_connections"]
    redis.load_functions()
    assert redis.outdated_functions() == []
