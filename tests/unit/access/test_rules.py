"""Roles and their rules, as data."""

import os
from pathlib import Path

import pytest

from tests import ROOT
from workers.access.rules import roles
from workers.access.rules.roles import Logins, Role
from workers.access.store import users as valkey
from workers.access.store.users import Server
from workers.access.store.valkey import line
from workers.access.usecases.grants import as_role
from workers.connections.formats import permits
from workers.foundation import queues, settings
from workers.processes.supervisor import read_procfile
from workers.processes.system import environment


def test_each_process_of_the_procfiles_has_a_role() -> None:
    names = [*read_procfile(ROOT / "Procfile"), *read_procfile(ROOT / "demo/Procfile")]
    assert all(roles.of_process(name) for name in names)
    assert roles.of_process("somebody") is None


def test_the_queues_are_those_of_celery() -> None:
    assert set(valkey._QUEUES) == set(queues.NAMES)


@pytest.mark.parametrize(
    ("role", "variable", "may"),
    [
        (Role.BEAT, "WEDOPS_DATABASE_URL", False),
        (Role.BEAT, "WEDOPS_BROKER_URL", True),
        (Role.BEAT, permits.VARIABLE, False),
        (Role.GATEWAY, permits.VARIABLE, True),
        (Role.GATEWAY, "WEDOPS_DATABASE_URL", False),
        (Role.GATEWAY, "METRICS_INGEST_TOKENS", False),
        (Role.WORKER, "METRICS_INGEST_TOKENS", False),
        (Role.API, "METRICS_INGEST_TOKENS", True),
        (Role.API, "FLOWER_BASIC_AUTH", False),
        (Role.WORKER, "ROLES_GATEWAY", False),
        (Role.EXPORTER, "PATH", True),
    ],
)
def test_a_role_sees_the_secrets_that_it_needs(role: Role, variable: str, may: bool) -> None:
    assert roles.may_have(role, variable, may_be_secret=settings.may_be_secret(variable)) is may


@pytest.mark.parametrize(
    "text",
    ["secret", "a:short", "A:a-secret-of-sixteen", "a:has spaces in it, no", "a:1234567890123456@", "a:"],
)
def test_what_is_no_secret_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(ValueError, match="worker must be"):
        Logins(worker=text)


def test_a_new_secret_has_a_new_name() -> None:
    with pytest.raises(ValueError, match="worker has a name twice"):
        Logins(worker="a:a-secret-of-sixteen,a:another-of-sixteen")


def test_the_newest_secret_is_used_and_both_are_let_in() -> None:
    known = Logins(worker="b:a-secret-of-sixteen, a:another-of-sixteen")
    assert as_role("redis://x:y@h:1/0", Role.WORKER, known) == "redis://worker:a-secret-of-sixteen@h:1/0"
    assert as_role("postgresql://x:y@h/d", Role.WORKER, known).startswith("postgresql://wedops_worker_b:")
    assert line(Role.WORKER, "+ping", known.of(Role.WORKER)).count("#") == 2


def test_a_file_of_users_has_no_secret_in_it() -> None:
    assert "a-secret-of-sixteen" not in line(Role.API, "+ping (~x +get)", {"a": "a-secret-of-sixteen"})


def test_one_server_for_both_gives_each_role_what_it_may_do_with_either() -> None:
    both = valkey.rules_of({Server.BROKER, Server.CONNECTIONS})
    assert both.keys() == valkey.RULES[Server.BROKER].keys() | {Role.GATEWAY}
    assert both[Role.WORKER] == valkey.RULES[Server.BROKER][Role.WORKER]
    assert Role.GATEWAY not in valkey.rules_of({Server.BROKER})


def test_a_supervised_process_loses_the_owners_login_however_it_was_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = "redis://owner:owner-secret-of-sixteen@h:1/0"
    (tmp_path / "url").write_text(owner)
    monkeypatch.setenv("WEDOPS_BROKER_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("REDIS_URL", owner)
    monkeypatch.setenv("NOTIFY_TARGETS", "mailtos://user:word@example.org")
    monkeypatch.setenv(settings.FROM_FILES, "WEDOPS_BROKER_URL")
    known = Logins(gateway="a:gateway-secret-of-16", owner="a:owner-secret-of-sixteen")
    for process in ("gateway", "beat", "somebody"):
        given = environment(process, {"WEDOPS_BROKER_URL": owner}, known)
        assert "owner-secret" not in str(given), process
        assert "NOTIFY_TARGETS" not in given
        assert ("WEDOPS_BROKER_URL" in given) == (process == "gateway")


@pytest.mark.parametrize(
    ("process", "variable"),
    [
        ("beat", "COMMANDS_KEYS"),
        ("api", "METRICS_INGEST_TOKENS"),
        ("gateway", "CONNECTIONS_PERMIT_KEYS"),
        ("worker-safety", "NOTIFY_TARGETS"),
        ("flower", "FLOWER_BASIC_AUTH"),
    ],
)
def test_a_supervised_process_goes_on_reading_a_secret_from_its_file(
    process: str, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("one")
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(settings.FROM_FILES, "")
    settings.settle_environment()
    given = environment(process, {}, Logins(beat="a:beat-secret-of-sixteen"))
    (tmp_path / "secret").write_text("two")
    monkeypatch.delenv(variable)
    monkeypatch.setattr(os, "environ", given)
    settings.settle_environment()
    assert given[variable] == "two"
