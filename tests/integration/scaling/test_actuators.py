"""Actuators on the real things.

Valkey, PgBouncer, a Celery worker; Kubernetes' own client on an API server that is played.
"""

import os
import socketserver
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests import ROOT, pooler
from tests.integration.scaling.kubernetes import KubernetesApi
from tests.made import NOON, due_now, eventually, scaled
from workers.foundation import database, redis, settings
from workers.processes import servers
from workers.scaling import tasks
from workers.scaling.adapters import actuators, celery_pool
from workers.scaling.adapters.actuators import (
    ActuatorRefused,
    ActuatorUnfit,
    ActuatorUnknown,
    ActuatorUnreachable,
)
from workers.scaling.adapters.celery_pool import CeleryPool
from workers.scaling.adapters.kubernetes import Kubernetes
from workers.scaling.adapters.pgbouncer import PgBouncer
from workers.scaling.adapters.valkey import Valkey
from workers.scaling.rules.actions import Action
from workers.scaling.rules.decision import State
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import published
from workers.weddings.rules.calendar import EVERYWHERE

pytestmark = pytest.mark.usefixtures("world")


def _action(resource: Resource, to: int, region: str = EVERYWHERE) -> Action:
    return Action(1, region, resource, 1, to, "demand", State.APPROVED, NOON, "test")


def _cache(megabytes: int) -> Action:
    return _action(Resource.CACHE_MB, megabytes)


def test_the_cache_grows_and_shrinks_and_a_dry_run_changes_nothing() -> None:
    valkey = Valkey()
    assert valkey.seen(_cache(0)) == 256
    assert valkey.apply(_cache(512), dry_run=True) == "CONFIG SET maxmemory 512mb"
    assert valkey.seen(_cache(0)) == 256
    for megabytes in (512, 320):
        valkey.apply(_cache(megabytes))
        valkey.apply(_cache(megabytes))
        assert valkey.seen(_cache(0)) == megabytes


def test_the_brokers_server_is_never_sized(monkeypatch: pytest.MonkeyPatch) -> None:
    redis.cache_server().config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(ActuatorRefused, match="it evicts by noeviction"):
            Valkey().apply(_cache(512))
    finally:
        redis.cache_server().config_set("maxmemory-policy", "allkeys-lfu")
    # Another database number of the same server.
    broker = redis.Redis.from_url(
        settings.servers().broker_url.rpartition("/")[0] + "/1", decode_responses=True
    )
    monkeypatch.setattr(redis, "cache_server", lambda: broker)
    with pytest.raises(ActuatorRefused, match="the cache is the server of broker"):
        Valkey().apply(_cache(512))


def test_what_somebody_else_set_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_ACTUATORS", "cache_mb=valkey")
    with database.transaction() as db:
        scaled(db, region=EVERYWHERE, resource=Resource.CACHE_MB, before=256, to=384)
    _verify()
    with database.transaction() as db:
        assert store.recent(db)[0].state is State.CONFIRMED
    redis.cache_server().config_set("maxmemory", "300mb")
    _verify()
    assert Valkey().seen(_cache(0)) == 300, "what is confirmed is not looked at each time"
    tasks.reconcile()
    assert Valkey().seen(_cache(0)) == 384


def test_a_cache_without_a_limit_gets_none_of_ours() -> None:
    redis.cache_server().config_set("maxmemory", 0)
    with pytest.raises(ActuatorRefused, match="it has no limit"):
        Valkey().apply(_cache(512))


def test_a_cache_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = redis.Redis.from_url(f"redis://127.0.0.1:{servers.free_port()}/0")
    monkeypatch.setattr(redis, "cache_server", lambda: gone)
    with pytest.raises(ActuatorUnreachable, match="valkey does not answer"):
        Valkey().seen(_cache(0))


@pytest.fixture
def dripping() -> Iterator[int]:
    """A server that sends a byte now and then, and never an answer; its port."""
    stop = Event()

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(b"$100000\r\n")
                while not stop.wait(0.05):
                    self.request.sendall(b"1")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        stop.set()
        server.shutdown()


def test_a_server_that_never_ends_its_answer_costs_some_seconds_once(
    dripping: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = redis.Redis.from_url(f"redis://127.0.0.1:{dripping}/0", socket_timeout=1)
    monkeypatch.setattr(redis, "cache_server", lambda: slow)
    monkeypatch.setattr(actuators, "PATIENCE", 0.5)
    valkey = actuators.made("valkey", Resource.CACHE_MB)
    with pytest.raises(ActuatorUnreachable, match="valkey does not answer: no answer within"):
        valkey.seen(_cache(0))
    with pytest.raises(ActuatorUnreachable, match="a call of before has not ended yet"):
        valkey.apply(_cache(0))


class _Exiting:
    serves = (Resource.INSTANCES,)

    def seen(self, _action: Action) -> int | None:
        sys.exit("bad configuration")

    def apply(self, _action: Action, *, dry_run: bool = False) -> str:
        raise GeneratorExit(dry_run)


def test_a_plug_in_that_exits_takes_nobody_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    actuator = actuators._InTime("exiting", _Exiting)
    with pytest.raises(RuntimeError, match="SystemExit: bad configuration"):
        actuator.seen(_cache(0))
    with pytest.raises(RuntimeError, match="GeneratorExit"):
        actuator.apply(_cache(0))
    monkeypatch.setattr(actuators, "PATIENCE", 0.2)
    with pytest.raises(ActuatorUnreachable, match="no answer within"):
        actuators._InTime("hanging", lambda: Event().wait(3))  # type: ignore[arg-type,return-value]


def test_actuators_are_found_by_name_and_a_wrong_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_ACTUATORS", "instances=gateways+nobodys")
    with pytest.raises(
        ActuatorUnknown, match="'nobodys', and there is no such actuator; there are celery, gateways"
    ):
        actuators.of(Resource.INSTANCES)
    monkeypatch.setenv("SCALING_ACTUATORS", "instances=valkey")
    with pytest.raises(ActuatorUnfit, match="gives instances to 'valkey', which serves cache_mb"):
        actuators.of(Resource.INSTANCES)
    twice = "instances=gateways instances=kubernetes"
    for wrong in (
        "instances",
        "instances=",
        "nothing=valkey",
        "instances=gateways+",
        "cache_mb=valkey+valkey",
        "a=b=c",
        twice,
    ):
        monkeypatch.setenv("SCALING_ACTUATORS", wrong)
        with pytest.raises(settings.SettingInvalid, match="actuators must be such as"):
            actuators.managed()


@pytest.fixture
def pgbouncer(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a PgBouncer in front of the tests' PostgreSQL."""
    with pooler.pgbouncer() as url:
        monkeypatch.setenv("PGBOUNCER_ADMIN_URL", url.rpartition("/")[0] + "/pgbouncer")
        yield url


def _pool(size: int) -> Action:
    return _action(Resource.DATABASE_CONNECTIONS, size)


def test_a_pool_grows_at_once_shrinks_and_a_reload_is_corrected(
    pgbouncer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bouncer = PgBouncer()
    assert bouncer.seen(_pool(0)) == 20
    assert bouncer.apply(_pool(4), dry_run=True) == "SET default_pool_size = 4; RECONNECT"
    assert bouncer.seen(_pool(0)) == 20
    clients = [psycopg.connect(pgbouncer, autocommit=True) for _ in range(8)]
    try:
        bouncer.apply(_pool(30))
        assert bouncer.seen(_pool(0)) == 30
        begun = [one.cursor() for one in clients]
        for cursor in begun:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1")
        assert bouncer.held(_pool(0)) == 8
        bouncer.apply(_pool(4))
        for cursor in begun:
            cursor.execute("ROLLBACK")
        assert eventually(lambda: bouncer.held(_pool(0)) <= 4), (
            "those that are too many are closed when they are free"
        )
    finally:
        for one in clients:
            one.close()
    with psycopg.connect(
        os.environ["PGBOUNCER_ADMIN_URL"], autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as console:
        console.execute("RELOAD")
    assert bouncer.seen(_pool(0)) == 20, "the file's value is back"
    monkeypatch.setenv("SCALING_ACTUATORS", "database_connections=pgbouncer")
    with database.transaction() as db:
        scaled(db, region=EVERYWHERE, resource=Resource.DATABASE_CONNECTIONS, before=20, to=45)
    _verify()
    bouncer.apply(_pool(20))
    tasks.reconcile()
    assert bouncer.seen(_pool(0)) == 45


def test_a_pgbouncer_that_is_not_set_or_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ActuatorRefused, match="set PGBOUNCER_ADMIN_URL"):
        PgBouncer().apply(_pool(30))
    monkeypatch.setenv(
        "PGBOUNCER_ADMIN_URL", f"postgresql://wedops:hidden@127.0.0.1:{servers.free_port()}/pgbouncer"
    )
    with pytest.raises(ActuatorUnreachable) as refused:
        PgBouncer().seen(_pool(30))
    assert "hidden" not in str(refused.value)
    monkeypatch.setenv("PGBOUNCER_ADMIN_URL", "postgresql://wedops:hid%den@127.0.0.1/pgbouncer")
    with pytest.raises(settings.SettingInvalid, match="percent-encoded") as wrong:
        PgBouncer().seen(_pool(30))
    assert "hid" not in str(wrong.value)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a worker of the queue `steady` with two processes.

    On a slow machine it takes its time to answer.
    """
    monkeypatch.setattr(celery_pool, "PATIENCE", 5.0)
    words = ["-m", "celery", "-A", "workers.app", "worker", "-n", "steady@tests", "-Q", "steady", "-c", "2"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *words, "--without-gossip", "--without-mingle"], cwd=ROOT, stdout=log, stderr=log
        )
    try:
        assert eventually(lambda: CeleryPool().seen(_processes(0)) == 2, within=60), (
            tmp_path / "log"
        ).read_text()[-800:]
        yield
    finally:
        process.terminate()
        process.wait(30)


def _processes(count: int) -> Action:
    return _action(Resource.WORKER_PROCESSES, count)


@pytest.mark.usefixtures("worker")
@pytest.mark.xdist_group("system")
@pytest.mark.timeout(300)
def test_a_worker_gets_more_processes_and_gives_them_back() -> None:
    pool = CeleryPool()
    assert pool.apply(_processes(4), dry_run=True) == "grow steady@tests by 2"
    assert pool.seen(_processes(0)) == 2
    pool.apply(_processes(4))
    assert eventually(lambda: pool.seen(_processes(0)) == 4, within=30)
    assert pool.apply(_processes(4)) == "nothing to change"
    pool.apply(_processes(3))
    assert eventually(lambda: pool.seen(_processes(0)) == 3, within=30)
    with pytest.raises(ActuatorRefused, match="keeps one process"):
        pool.apply(_processes(0))


def test_no_worker_is_no_size() -> None:
    assert CeleryPool().seen(_processes(2)) is None
    with pytest.raises(ActuatorUnreachable, match="start worker-steady"):
        CeleryPool().apply(_processes(2))


def test_keda_reads_what_is_desired_and_nothing_else() -> None:
    with database.transaction() as db:
        scaled(db, region="us-west", expected_previous_id=scaled(db, region="us-west"), before=4, to=6)
        published.publish(db, Policy(new_regions="live"))
    with database.transaction() as db:
        db.execute(text("SET LOCAL ROLE wedops_keda"))
        # The very query of the example.
        documents = yaml.safe_load_all((ROOT / "deploy/keda/postgresql.yaml").read_text())
        [example] = [one for one in documents if one["kind"] == "ScaledObject"]
        assert db.execute(text(example["spec"]["triggers"][0]["metadata"]["query"])).all() == [(6,)]
    for forbidden in (
        "SELECT * FROM scaling_actions",
        "DELETE FROM scaling_actions",
        "SELECT * FROM weddings",
    ):
        with database.transaction() as db:
            db.execute(text("SET LOCAL ROLE wedops_keda"))
            with pytest.raises(ProgrammingError, match="permission denied"):
                db.execute(text(forbidden))
            db.rollback()


def _replicas(count: int) -> Action:
    return _action(Resource.INSTANCES, count, "us-west")


@pytest.mark.parametrize(
    ("url", "problem"),
    [("http://127.0.0.1:{port}", "kubernetes does not answer"), ("", "KUBERNETES_URL")],
)
def test_a_cluster_that_is_away_or_not_set_is_said(
    url: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_URL", url.format(port=servers.free_port()))
    with pytest.raises(ActuatorUnreachable, match=problem):
        Kubernetes().seen(_replicas(3))


@pytest.fixture
def kubernetes_api() -> Iterator[KubernetesApi]:
    """Yield an API server with the Deployment realtime-us-west."""
    api = KubernetesApi()
    yield api
    api.close()


def test_a_deployment_is_scaled_and_conflicts_refusals_and_hpas_are_heeded(
    kubernetes_api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_URL", kubernetes_api.url)
    monkeypatch.setenv("KUBERNETES_TOKEN", "a-token")
    actuator = Kubernetes()
    assert actuator.seen(_replicas(0)) == 2
    assert actuator.apply(_replicas(5), dry_run=True) == "deployment default/realtime-us-west: replicas=5"
    assert actuator.seen(_replicas(0)) == 2
    actuator.apply(_replicas(5))
    assert actuator.seen(_replicas(0)) == 5
    kubernetes_api.answer_next(409)
    with pytest.raises(ActuatorUnreachable, match="409"):
        actuator.apply(_replicas(6))
    kubernetes_api.answer_next(403)
    with pytest.raises(ActuatorRefused, match="403"):
        actuator.apply(_replicas(6))
    with pytest.raises(ActuatorRefused, match="404"):
        actuator.seen(_action(Resource.INSTANCES, 2, "nowhere"))
    kubernetes_api.give_hpa("realtime-us-west")
    with pytest.raises(ActuatorRefused, match="HPA crowd owns realtime-us-west"):
        actuator.apply(_replicas(6))
    assert actuator.seen(_replicas(0)) == 5
    assert kubernetes_api.tokens == {"Bearer a-token"}


def _verify() -> None:
    due_now()
    tasks.verify()
