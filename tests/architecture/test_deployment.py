"""What starts the system: Procfile and docker-compose.yml name the same processes with the same commands."""

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests import ROOT
from workers.access.rules import edge, roles
from workers.app import HARD_LIMIT
from workers.connections.formats import permits
from workers.foundation import settings, signatures
from workers.measurements.rules import limits
from workers.processes import secret_files
from workers.processes.supervisor import read_procfile

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROCFILE = read_procfile(ROOT / "Procfile")

#: The part of the Compose specification that we use; a service or key outside it is a slip of the pen.
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string"},
        "build": {"type": "object"},
        "command": {"type": "string"},
        "user": {"const": "valkey"},
        "read_only": {"const": True},
        "tmpfs": {"type": "array", "items": {"type": "string"}},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "secrets": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "restart": {"enum": ["always", "on-failure"]},
        "env_file": {"type": "array"},
        "stop_grace_period": {"type": "string", "pattern": "^[0-9]+s$"},
        "mem_limit": {"type": "string", "pattern": "^[0-9]+[mg]$"},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:/"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "healthcheck": {"type": "object", "minProperties": 1},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"condition": {"enum": ["service_healthy", "service_completed_successfully"]}},
                "required": ["condition"],
            },
        },
    },
    "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_is_well_formed_and_published_on_loopback_only(name: str) -> None:
    jsonschema.validate(COMPOSE["services"][name], SERVICE)


def test_what_a_service_depends_on_and_mounts_exists() -> None:
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source


@pytest.mark.parametrize("name", PROCFILE)
def test_both_start_the_same_process(name: str) -> None:
    def essence(command: str) -> list[str]:
        words = [word for word in shlex.split(command) if word not in {"env", "REMAP_SIGTERM=SIGQUIT"}]
        return [
            re.sub(
                r"\$\{.*?:-127.0.0.1\}|0\.0\.0\.0", "ADDRESS", re.sub(r"\$\{API_PORT:-8000\}", "8000", word)
            )
            for word in words
        ]

    assert essence(PROCFILE[name]) == essence(COMPOSE["services"][name]["command"])


def test_every_queue_has_a_worker() -> None:
    from workers.foundation.queues import NAMES

    named = [match[1] for command in PROCFILE.values() if (match := re.search(r"-Q (\S+)", command))]
    assert sorted(queue for some in named for queue in some.split(",")) == sorted(NAMES)


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    board = json.loads((ROOT / "deploy/grafana/dashboards/wedops.json").read_text())
    declaring = [*(ROOT / "workers").glob("*/telemetry.py"), ROOT / "workers/http/gauges.py"]
    known = "".join(path.read_text() for path in declaring)
    for panel in board["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"wedops_\w+", target["expr"]):
                assert re.sub(r"_(total|bucket)$", "", name) in known, name


def test_no_listener_is_open_to_the_world_by_default() -> None:
    for path in (
        *(ROOT / "workers").rglob("*.py"),
        *(ROOT / "demo").rglob("*.py"),
        ROOT / "Procfile",
        ROOT / "demo/Procfile",
    ):
        assert not re.search(r"(?<!\d)0\.0\.0\.0", path.read_text()), path


def test_each_requirement_has_hashes_and_none_an_address() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    pinned = re.findall(r"^[\w.-]+==[^\n]*\n(?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n)*", text, re.MULTILINE)
    assert len(pinned) > 100
    assert all("--hash=sha256:" in one for one in pinned)


@pytest.mark.parametrize(
    "name", [name for name, service in COMPOSE["services"].items() if "build" in service]
)
def test_what_is_ours_has_limits_a_check_and_time_to_end_and_is_not_root(name: str) -> None:
    service = COMPOSE["services"][name]
    assert {"mem_limit", "stop_grace_period", "healthcheck", "env_file"} <= service.keys()
    assert "user" not in service
    assert int(service["stop_grace_period"].rstrip("s")) > HARD_LIMIT.total_seconds()

    assert {"read_only", "cap_drop", "security_opt"} <= service.keys()


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_bounded_gains_nothing_and_has_its_own_secrets(name: str) -> None:
    service = COMPOSE["services"][name]
    assert {"mem_limit", "security_opt", "secrets"} <= service.keys()
    # No secret stands in the environment: each is a file that this container alone gets.
    mounted = {f"/run/secrets/{one}" for one in service["secrets"]}
    files = {value for value in service.get("environment", {}).values() if value.startswith("/run/secrets/")}
    assert files <= mounted
    for variable, value in service.get("environment", {}).items():
        assert not re.search("PASSWORD|SECRET|TOKEN|KEY|LOGIN|AUTH|_URL", variable) or value in files, (
            variable
        )


@pytest.mark.parametrize("name", PROCFILE)
def test_each_process_logs_in_as_its_role(name: str) -> None:
    role = roles.of_process(name)
    assert role
    service = COMPOSE["services"][name]
    for variable, value in service["environment"].items():
        if variable.startswith("WEDOPS_") and variable.endswith("_URL_FILE"):
            assert value.rpartition("-")[2] == role
        elif variable.endswith("_FILE") and "/run/secrets" in value:
            assert roles.may_have(role, variable.removesuffix("_FILE"), may_be_secret=True), variable


def test_the_secrets_that_are_mounted_are_made_once_and_in_the_form_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    made = set(secret_files.write(folder))
    assert set(COMPOSE["secrets"]) <= made
    assert all(one["file"] == f"./secrets/{name}" for name, one in COMPOSE["secrets"].items())
    assert (folder.stat().st_mode & 0o777) == 0o700
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert secret_files.write(folder) == []
    assert secret_files.outdated(folder) == []
    assert before == {path.name: path.read_text() for path in folder.iterdir()}
    plain = before["broker-worker"].replace("rediss://", "redis://")
    (folder / "broker-worker").write_text(plain)
    assert secret_files.outdated(folder) == ["broker-worker"]
    for service in COMPOSE["services"].values():
        for variable, value in service.get("environment", {}).items():
            if value.startswith("/run/secrets/") and "GF_" not in variable and "POSTGRES" not in variable:
                monkeypatch.setenv(variable.removesuffix("_FILE"), before[value.rpartition("/")[2]])
    for policy in (roles.Logins, edge.Policy, signatures.Policy, limits.Policy, settings.Servers):
        settings.read(policy)
    assert permits.keys()
