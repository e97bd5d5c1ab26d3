"""Settings: a bad value is one clear line."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from workers.foundation import settings
from workers.foundation.settings import SettingInvalid
from workers.scaling.rules import Policy


def test_a_field_is_set_by_room_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_INSTANCES_MAX", "20")
    monkeypatch.setenv("SCALING_LEAD", "90m")
    found = settings.read(Policy, "SCALING_")
    assert (found.instances_max, found.lead, found.instances_min) == (20, timedelta(minutes=90), 2)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SCALING_INSTANCES_MAX", "many", "SCALING_INSTANCES_MAX='many': Input should be a valid integer"),
        ("SCALING_LEAD", "soon", "SCALING_LEAD='soon': write a duration as 250ms, 30s, 5m, 2h or 7d"),
        ("SCALING_INSTANCES_MAX", "1", "instances_min must be from 1 to instances_max"),
    ],
)
def test_a_bad_value_names_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingInvalid) as caught:
        settings.read(Policy, "SCALING_")
    assert says in str(caught.value)
    assert variable in str(caught.value)
    assert value in str(caught.value)


def test_what_has_no_default_must_be_set() -> None:
    @dataclass(frozen=True)
    class Needed:
        url: str

    with pytest.raises(SettingInvalid, match="ROOM_URL=None: must be set"):
        settings.read(Needed, "ROOM_")


@pytest.mark.parametrize("address", ["redis://127.0.0.1:99999/0", "redis://127.0.0.1:abc/0"])
def test_what_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("WEDOPS_BROKER_URL", address)
    with pytest.raises(SettingInvalid, match="WEDOPS_BROKER_URL.*broker_url is no address"):
        settings.servers()


@pytest.mark.parametrize("variable", ["WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL"])
def test_a_server_of_another_kind_is_refused_without_showing_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "mysql://root:hunter2@db/1" if "DATA" in variable else "amqp://root:hunter2@db:1/1")
    with pytest.raises(SettingInvalid) as caught:
        settings.servers()
    assert "must start with" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["redis://wedops:Hunter2/x@broker:6379/0", "redis://wedops:Hunter2\u2100@broker:6379", "redis://u:a@Hunter2@broker/0"],
)
def test_an_address_that_is_none_shows_no_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDOPS_BROKER_URL", url)
    with pytest.raises(SettingInvalid, match="broker_url is no address; percent-encode") as refused:
        settings.servers()
    assert "Hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ["nan", "inf", "1e308", "99999999999"])
def test_what_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_CPU", value)
    with pytest.raises(SettingInvalid, match="must be a number, and below"):
        settings.read(Policy, "SCALING_")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("foo=bar", "unknown parameter foo"),
        ("ssl_cert_reqs=CERT_NONE", "write required, optional, none"),
        ("ssl_cert_reqs=", "write required, optional, none"),
        ("ssl_ca_cert=/x", "unknown parameter ssl_ca_cert"),
    ],
)
@pytest.mark.parametrize("variable", ["WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_CONNECTIONS_URL"])
def test_what_two_libraries_would_read_differently_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, query: str, says: str
) -> None:
    monkeypatch.setenv(variable, f"rediss://127.0.0.1:6379/0?{query}")
    with pytest.raises(SettingInvalid, match=says):
        settings.servers()
    monkeypatch.setenv(variable, "rediss://127.0.0.1:6379/0?ssl_ca_certs=/x&ssl_cert_reqs=required")
    settings.servers()
