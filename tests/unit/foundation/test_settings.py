"""Settings: a bad value is one clear line."""

import json
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from inspect import getsource
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import pytest
from pydantic import TypeAdapter

from tests import ROOT
from workers.cli.settings import DECLARED, former, names
from workers.foundation import settings
from workers.foundation.settings import SettingInvalid
from workers.responses.rules import Policy as Responses
from workers.scaling.rules.policy import Policy
from workers.seasons.rules.season import Policy as Seasons


def test_a_field_is_set_by_room_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_INSTANCES_MAX", "20")
    monkeypatch.setenv("SCALING_LEAD", "90m")
    found = settings.read(Policy)
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
        settings.read(Policy)
    assert says in str(caught.value)
    assert variable in str(caught.value)
    assert value in str(caught.value)


def test_what_has_no_default_must_be_set() -> None:
    @dataclass(frozen=True)
    class Needed:
        prefix: ClassVar = "ROOM_"

        url: str

    with pytest.raises(SettingInvalid, match="ROOM_URL=None: must be set"):
        settings.read(Needed)


@pytest.mark.parametrize("address", ["redis://127.0.0.1:99999/0", "redis://127.0.0.1:abc/0"])
def test_what_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("WEDOPS_BROKER_URL", address)
    with pytest.raises(SettingInvalid, match="WEDOPS_BROKER_URL.*broker_url is no address"):
        settings.servers()


@pytest.mark.parametrize("variable", ["WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL"])
def test_a_server_of_another_kind_is_refused_without_showing_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(
        variable, "mysql://root:hunter2@db/1" if "DATA" in variable else "amqp://root:hunter2@db:1/1"
    )
    with pytest.raises(SettingInvalid) as caught:
        settings.servers()
    assert "must start with" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://wedops:Hunter2/x@broker:6379/0",
        "redis://wedops:Hunter2\u2100@broker:6379",
        "redis://u:a@Hunter2@broker/0",
    ],
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
        settings.read(Policy)


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


def _written(value: Any) -> str:
    """Return a default as an operator would write it."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():f}s"
    return (
        TypeAdapter(Any).dump_json(value).decode() if isinstance(value, dict | tuple | list) else str(value)
    )


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_field_can_be_set(declared: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(declared):
        monkeypatch.delenv(declared.prefix + field.name.upper(), raising=False)
    default = settings.read(declared)
    for field in fields(declared):
        monkeypatch.setenv(declared.prefix + field.name.upper(), _written(getattr(default, field.name)))
    assert settings.read(declared) == default
    assert get_type_hints(declared)["prefix"]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_field_is_read_by_its_older_names(declared: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    default = settings.read(declared)
    for field in fields(declared):
        own = declared.prefix + field.name.upper()
        for older in settings.former(declared, field.name):
            with monkeypatch.context() as patch:
                patch.delenv(own, raising=False)
                patch.setenv(older, _written(getattr(default, field.name)))
                assert settings.read(declared) == default
                assert own in former()[older], "doctor names the new one"


def test_what_refuses_a_policy_names_its_fields() -> None:
    """By these names the variable is found that an operator has to mend."""
    for declared in DECLARED:
        own = {field.name for field in fields(declared)}  # type: ignore[arg-type]
        check = getattr(declared, "__post_init__", None)
        said = re.findall(r'ValueError\((?:\s*)f?"([^"]+)"', getsource(check)) if check else []
        for text in said:
            words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", re.sub(r"\{.*?\}", "", text)))
            assert words <= own | {"new_regions"}, f"{declared}: {words - own}"


def test_a_mapping_is_written_as_json_and_a_bad_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    months = [1, 1, 1, 1, 2, 3, 3, 3, 2, 1, 1, 1]
    monkeypatch.setenv("SEASONS_MONTHS", json.dumps({"us-west": months}))
    assert settings.read(Seasons).months == {"us-west": tuple(months)}
    for bad, says in (
        ("us-west=1", "write JSON"),
        (json.dumps({"us-west": [1] * 11}), "months of us-west must be 12 figures"),
        (json.dumps({"us-west": ["many"]}), "us-west.0: Input should be a valid number"),
    ):
        monkeypatch.setenv("SEASONS_MONTHS", bad)
        with pytest.raises(SettingInvalid, match=f"SEASONS_MONTHS=.*{says}"):
            settings.read(Seasons)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_class_of_settings_is_listed() -> None:
    """What `doctor` does not know it cannot check."""
    declaring = re.compile(
        r"^class (\w+)(?:\(.*\))?:\n(?:    .*\n|\n)*?    prefix: ClassVar = ", re.MULTILINE
    )
    written = {
        f"{_module(path)}.{match[1]}"
        for path in (ROOT / "workers").rglob("*.py")
        for match in declaring.finditer(path.read_text())
    }
    assert written == {f"{one.__module__}.{one.__name__}" for one in DECLARED}


def test_an_older_name_is_read_where_the_new_one_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert former()["DEGRADATION_BETTER"] == ["RESPONSES_BETTER"]
    assert former()["METRICS_AHEAD_DAYS"] == ["SNAPSHOTS_AHEAD_DAYS", "MEASUREMENTS_AHEAD_DAYS"]
    for old, new in former().items():
        assert set(new) <= names().keys()
        assert old not in new
    monkeypatch.setenv("DEGRADATION_BETTER", "0.3")
    assert settings.read(Responses).better == 0.3
    monkeypatch.setenv("RESPONSES_BETTER", "0.4")
    assert settings.read(Responses).better == 0.4
    monkeypatch.delenv("RESPONSES_BETTER")
    monkeypatch.setenv("DEGRADATION_BETTER", "7")
    with pytest.raises(SettingInvalid, match="^DEGRADATION_BETTER='7': better must"):
        settings.read(Responses)
