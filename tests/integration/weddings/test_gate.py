"""The gate before deployments, by the calendar, and who overrode it."""

from datetime import timedelta

import orjson
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from sqlalchemy import text

from tests.made import NOON, wedding
from workers.cli.main import wedops
from workers.foundation import clock, database
from workers.http.routes import api
from workers.weddings.rules.calendar import Status
from workers.weddings.store import weddings


@pytest.fixture(autouse=True)
def _calendar(world: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    calendar = [
        wedding("w-1", starts_at=NOON + timedelta(hours=2)),
        wedding("w-2", region="us-west", starts_at=NOON + timedelta(days=1)),
        wedding("w-3", region="us-west", starts_at=NOON, status=Status.CANCELLED),
    ]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=NOON)


def _run(*words: str) -> Result:
    return CliRunner().invoke(wedops, ["gate", *words])


def _timeline() -> str:
    return CliRunner().invoke(wedops, ["timeline", "--since", "1h"]).output


def test_a_deployment_is_refused_while_a_wedding_is_near_and_told_when() -> None:
    done = _run("deploy")
    assert done.exit_code == 75
    assert done.output.splitlines() == [
        "deploy in all regions: closed until 2026-10-10 21:00Z (Sat 17:00 America/New_York)",
        "1 wedding is near; w-1 for longest",
        "next window: 2026-10-10 21:00Z (Sat 17:00 America/New_York) to 2026-10-11 08:00Z (Sun 04:00 "
        "America/New_York)",
    ]


def test_a_region_without_weddings_near_is_open() -> None:
    done = _run("deploy", "--region", "us-west")
    assert (done.exit_code, done.output) == (0, "deploy in us-west: open until 2026-10-11 08:00Z\n")
    assert "no wedding is in region='mars'" in str(_run("deploy", "--region", "mars").exception)


def test_json_and_http_say_the_same() -> None:
    found = orjson.loads(_run("migration", "--region", "us-northeast", "--minutes", "60", "--json").output)
    answer = TestClient(api).get("/v1/gate/migration", params={"region": "us-northeast", "minutes": 60})
    assert answer.json() == found
    assert (found["open"], found["reason"], found["last_wedding"]) == (False, "wedding_near", "w-1")
    assert found["until_local"] == "2026-10-10T17:00:00-04:00"
    assert TestClient(api).get("/v1/gate/everything").status_code == 422
    assert TestClient(api).get("/v1/gate/deploy", params={"minutes": 0}).status_code == 422


def test_it_is_opened_with_a_name_and_a_reason_which_are_kept() -> None:
    refused = _run("deploy", "--override", "30m")
    assert (refused.exit_code, "--override needs a --reason" in refused.output) == (2, True)
    assert "24 h at most" in str(_run("deploy", "--override", "2d", "--reason", "holidays").exception)
    done = _run("deploy", "--override", "30m", "--by", "ada", "--reason", "the gateway leaks")
    assert done.exit_code == 0
    assert "1 wedding is near; w-1 for longest\nopened by ada: the gateway leaks" in done.output
    assert "gate for deploy opened until 2026-10-10T12:30Z: the gateway leaks  (ada)" in _timeline()
    assert _run("deploy", "--region", "us-northeast").exit_code == 0
    assert _run("migration").exit_code == 75, "for what it was opened, alone"
    with database.transaction() as db:
        [event] = db.execute(
            text("SELECT body FROM journal WHERE name = 'weddings.gate_overridden'")
        ).scalars()
    assert (event["by"], event["reason"], event["change"]) == ("ada", "the gateway leaks", "deploy")
