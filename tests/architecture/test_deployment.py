"""What starts the system: Procfile and docker-compose.yml name the same processes with the same commands."""

import json
import re
import shlex

import jsonschema
import pytest
import yaml

from tests import ROOT
from workers.app import HARD_LIMIT
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
        "user": {"type": "string"},
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


def test_nobody_gets_in_by_a_default_login() -> None:
    for secret in (
        "POSTGRES_PASSWORD",
        "VALKEY_PASSWORD",
        "GRAFANA_PASSWORD",
        "FLOWER_BASIC_AUTH",
        "CONNECTIONS_PERMIT_KEYS",
    ):
        assert f"${{{secret}:?" in (ROOT / "docker-compose.yml").read_text()
