"""Granting on real servers: what differs is said and mended, secrets rotate."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from workers.access.rules.roles import Logins, Role
from workers.access.store import postgres, valkey
from workers.access.store import users as rules
from workers.access.store.users import Server
from workers.access.usecases import grants
from workers.foundation import database, redis, settings


def test_what_is_wider_in_the_database_is_said_and_taken_back(roles: Logins) -> None:
    assert list(_database_problems()) == []
    with database.transaction() as db:
        db.exec_driver_sql("GRANT DELETE ON weddings TO wedops_reader")
        db.exec_driver_sql("GRANT SELECT (url) ON addresses TO wedops_api")
        db.exec_driver_sql("GRANT SELECT ON messages TO PUBLIC")
        db.exec_driver_sql("REVOKE INSERT ON journal FROM wedops_worker")
        db.exec_driver_sql("DROP POLICY wedops_claims ON weddings")
        db.exec_driver_sql("CREATE POLICY mine ON weddings USING (true)")
    said = " ".join(_database_problems())
    for found in (
        "DELETE on weddings",
        "SELECT (url) on addresses",
        "public may do more",
        "INSERT on journal",
    ):
        assert found in said
    assert "row level security differs" in said
    grants.apply(roles)
    assert list(_database_problems()) == []


def _database_problems() -> Iterator[str]:
    with database.transaction() as db:
        yield from postgres.differences(db)


def test_a_secret_of_the_database_rotates_without_a_stop(
    roles: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:

    both = replace(roles, worker=f"next:a-new-secret-of-the-tests,{roles.worker}")
    grants.apply(both)
    owner = database.settings.servers().database_url
    before, after = (grants.as_role(owner, Role.WORKER, one) for one in (roles, both))
    for url in (before, after):
        monkeypatch.setenv("WEDOPS_DATABASE_URL", url)
        with database.transaction() as db:
            assert list(db.execute(text("SELECT 1 FROM weddings"))) == []
    monkeypatch.setenv("WEDOPS_DATABASE_URL", owner)
    grants.apply(replace(roles, worker="next:a-new-secret-of-the-tests"))
    assert _enters(after)
    assert not _enters(before)


def _enters(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def test_what_is_wider_on_valkey_is_said_and_taken_back(roles: Logins) -> None:
    kept = {Server.BROKER, Server.CONNECTIONS}
    server = redis.registry()
    assert list(valkey.differences(server, rules.rules_of(kept))) == []
    server.execute_command("ACL SETUSER", "gateway", "~emergency*", "+lpush", "&*")
    server.execute_command("ACL SETUSER", "reader", "-info", "(~x +set)")
    said = " ".join(valkey.differences(server, rules.rules_of(kept)))
    for found in ("gateway may do more", "~emergency*", "+lpush", "reader may not do", "(~x"):
        assert found in said
    assert grants.apply(roles) == []
    assert list(valkey.differences(server, rules.rules_of(kept))) == []


def test_a_secret_rotates_without_a_stop_and_is_nowhere_to_be_read(roles: Logins) -> None:
    connected = Redis.from_url(grants.as_role(settings.servers().broker_url, Role.GATEWAY, roles))
    connected.ping()
    both = replace(roles, gateway=f"next:a-new-secret-of-the-tests,{roles.gateway}")
    grants.apply(both)
    url = settings.servers().broker_url
    for known in (roles, both):
        with Redis.from_url(grants.as_role(url, Role.GATEWAY, known)) as own:
            assert own.ping()
    grants.apply(replace(roles, gateway="next:a-new-secret-of-the-tests"))
    # Who is in stays in.
    assert connected.ping()
    with pytest.raises(RedisError), Redis.from_url(grants.as_role(url, Role.GATEWAY, roles)) as own:
        own.ping()
    assert "secret" not in str(redis.registry().execute_command("ACL LIST"))
    connected.close()


def test_who_has_no_secret_any_more_has_no_login(roles: Logins) -> None:
    grants.apply(replace(roles, exporter=""))
    assert "exporter" not in redis.registry().execute_command("ACL USERS")
