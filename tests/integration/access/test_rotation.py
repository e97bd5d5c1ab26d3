"""A worker whose secrets rotate while it works: from files, with both sides let in for a while."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ROOT
from tests.made import eventually, wedding
from workers.access.rules.roles import Logins, Role
from workers.access.usecases import grants
from workers.app import app
from workers.foundation import clock, database, redis, settings
from workers.weddings.store import weddings

NAMES = ("WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL")


def write(folder: Path, known: Logins) -> None:
    for name in NAMES:
        url = os.environ[name]
        (folder / "next").write_text(grants.as_role(url, Role.WORKER, known))
        (folder / "next").rename(folder / name)


@pytest.fixture
def worker(roles: Logins, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a worker that has its addresses from files."""
    write(tmp_path, roles)
    given = {name: value for name, value in os.environ.items() if name not in NAMES}
    files = {f"{name}_FILE": str(tmp_path / name) for name in NAMES}
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "workers.app",
        "worker",
        "-n",
        "rotating@%h",
        "-Q",
        "steady",
    ]
    with (tmp_path / "log").open("wb") as log:
        one = subprocess.Popen(
            [*command, "-c", "1", "--without-gossip", "--without-mingle"],
            cwd=ROOT,
            env=given | files,
            stdout=log,
            stderr=log,
        )
        yield one
        one.terminate()
        one.wait(30)


def works() -> bool:
    """Tell whether the worker does a task that needs both servers."""
    app.send_task("seasons.publish_day", queue="steady")
    return eventually(
        lambda: redis.registry().exists("wedops:day") and not redis.registry().llen("steady"), within=25
    )


def test_a_worker_goes_on_when_its_secrets_rotate(
    worker: "subprocess.Popen[bytes]", roles: Logins, tmp_path: Path
) -> None:
    near = clock.now()
    with database.transaction() as db:
        weddings.upsert(db, [wedding(starts_at=near)], at=near)
    assert works(), (tmp_path / "log").read_text()[-3000:]
    both = replace(roles, worker=f"next:a-new-secret-of-the-tests,{roles.worker}")
    grants.apply(both)
    write(tmp_path, both)
    grants.apply(replace(roles, worker="next:a-new-secret-of-the-tests"))
    # All that is connected is cut off, so that it has to come in anew.
    redis.registry().delete("wedops:day")
    redis.registry().execute_command("CLIENT KILL TYPE normal USER worker SKIPME yes")
    redis.registry().execute_command("CLIENT KILL TYPE pubsub USER worker SKIPME yes")
    with database.transaction() as db:
        db.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE starts_with(usename, 'wedops_worker')"
        )
    assert works(), (tmp_path / "log").read_text()[-2000:]
    assert worker.poll() is None
    assert settings.servers().broker_url == os.environ["WEDOPS_BROKER_URL"]
