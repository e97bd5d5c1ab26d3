"""The watch over the task system: asks each part, without a task, so that no queue it watches can silence it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection, text

from workers.alerts import actions
from workers.alerts.actions import telling
from workers.alerts.rules import Breach, Kind, Policy, Severity
from workers.alerts.rules.ourselves import SILENT, Postgres, Seen, judge
from workers.app import app
from workers.foundation import clock, database, jobs, logs, queues, redis, settings
from workers.metrics import actions as metrics
from workers.metrics.store import points
from workers.notify import actions as notify
from workers.notify import client, store

log = logs.get("alerts")

#: Each worker that ever answered, by when it did last; one that ends in good order is taken out.
WORKERS = "wedops:workers"
#: The watch's own record among the jobs': who watches it.
JOB, EVERY = "watch", 5.0


def look(told: set[str]) -> set[str]:
    """Look at everything once; return what was told without the database, for the next look.

    Raises nothing that a server could cause: what is away is what it is there to find.
    """
    policy = settings.read(Policy, "ALERTS_")
    seen = observe()
    found, known = judge(seen, policy)
    try:
        changed = actions.bring(found, lambda fingerprint: fingerprint.partition("/")[0] in known, policy)
        with database.transaction() as db:
            telling.escalate(db, policy, now=clock.now())
    except database.DatabaseUnavailable:
        return _tell_without(found, told)
    if changed:
        # Through the queue when there is one; a broker that is away must not keep its own alert.
        _send()
    return set()


def _send() -> None:
    try:
        app.send_task("notify.deliver", retry=False)
    except (OperationalError, RedisError):
        for _ in range(20):
            with database.transaction() as db:
                waiting = store.claim(db, client.policy(), at=clock.machine_now())
                if waiting is None:
                    return
                store.tried(db, waiting.key, arrived=notify.send(db, waiting), at=clock.machine_now())


def _tell_without(found: list[Breach], told: set[str]) -> set[str]:
    """Tell NOTIFY_TARGETS of what is critical, once while it lasts: there is no database to remember it."""
    urgent = {breach.fingerprint: breach for breach in found if breach.severity is Severity.CRITICAL}
    for fingerprint, breach in urgent.items():
        if fingerprint not in told:
            log.error("alert without database", kind=breach.kind, reason="database", detail=breach.detail)
            for url in client.targets().values():
                title = f"{breach.severity} firing: {breach.kind}"
                client.send(
                    url, title, f"{breach.detail}. See docs/runbooks/{breach.kind}.md", breach.severity, key=fingerprint
                )
    return set(urgent)


def observe() -> Seen:
    """Return what each part says now."""
    away: dict[Kind, str] = {}
    facts: dict[str, object] = {"disks": _disks()}
    with _noting(away, Kind.BROKER):
        facts |= _of_redis()
    with _noting(away, Kind.CACHE):
        _settings_of_cache(facts)
    with _noting(away, Kind.DATABASE), database.transaction() as db:
        facts |= {"postgres": _of_postgres(db), "untold": store.overdue(db)}
    return Seen(away=away, **facts)  # type: ignore[arg-type]


@contextmanager
def _noting(away: dict[Kind, str], kind: Kind) -> Iterator[None]:
    try:
        yield
    except database.DatabaseUnavailable as error:
        away[kind] = str(error)
    except (RedisError, OSError) as error:
        away[kind] = type(error).__name__


def _of_redis() -> dict[str, object]:
    at, records = clock.epoch(), jobs.records()
    server = redis.registry()
    server.zremrangebyscore(jobs.BEATS, "-inf", at - 5)
    seconds, micros = redis.server_time(server)
    backlog = server.xlen(points.STREAM) / metrics.policy().buffer_most
    return {
        "stopped": [record.name for record in records if record.stopped() and record.name != JOB],
        "overdue": {record.name: at - record.next for record in records if record.overdue(at)},
        "beats": server.zcard(jobs.BEATS),
        "queues": {queue.name: queue.oldest for queue in queues.lengths_and_ages()},
        "backlog": backlog,
        "silent": _silent(at),
        "memory": redis.memory_used(),
        "settings": _settings_of_broker(),
        "redis_skew": seconds + micros / 1e6 - clock.epoch(),
    }


def _silent(at: float) -> dict[str, float]:
    """Ask each worker; return for how long those have been silent that answered once and do not now."""
    answers: dict[str, float] = {name: at for reply in app.control.ping(timeout=1.0) for name in reply}
    server = redis.registry()
    if answers:
        server.hset(WORKERS, mapping=answers)
    known = {name: float(seen) for name, seen in server.hgetall(WORKERS).items()}
    return {name: at - seen for name, seen in known.items() if at - seen > SILENT}


def _settings_of_broker() -> dict[str, str]:
    found = {}
    # A managed server may not let its settings be read: then nothing is said of them.
    with suppress(RedisError):
        for name, servers in redis.keeping().items():
            for server in servers:
                if server.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction") != "noeviction":
                    found[name] = "may evict what it must keep: `CONFIG SET maxmemory-policy noeviction`"
                elif server.config_get("appendonly").get("appendonly", "yes") != "yes":
                    found[name] = "keeps nothing on disk: `CONFIG SET appendonly yes`"
    return found


def _settings_of_cache(facts: dict[str, object]) -> None:
    redis.cache_server().ping()
    with suppress(RedisError):
        policy = redis.cache_server().config_get("maxmemory-policy").get("maxmemory-policy", "allkeys-lfu")
        if policy == "noeviction":
            known = facts.get("settings") or {}
            assert isinstance(known, dict)  # noqa: S101 - it is ours
            facts["settings"] = known | {"cache": "may not evict: `CONFIG SET maxmemory-policy allkeys-lfu`"}


_POSTGRES = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS at,
        (SELECT count(*) FROM pg_stat_activity)::float8 / current_setting('max_connections')::float8 AS connections,
        coalesce((SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication), 0)::float8 AS standby_behind,
        coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots WHERE NOT active), 0)
            ::bigint AS wal_held,
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
            WHERE backend_type = 'client backend'), 0)::float8 AS oldest_transaction,
        (SELECT max(age(datfrozenxid)) FROM pg_database)::float8 / 2000000000 AS wraparound
"""
_DEAD = """
    SELECT relname, n_dead_tup::float8 / (n_live_tup + n_dead_tup) FROM pg_stat_user_tables
    WHERE n_dead_tup > 100000 AND n_dead_tup > n_live_tup
"""


def _of_postgres(db: Connection) -> Postgres:
    row = db.execute(text(_POSTGRES)).one()
    now = clock.machine_now()
    dead = {name: float(share) for name, share in db.execute(text(_DEAD))}
    facts = {name: value for name, value in row._mapping.items() if name != "at"}
    missing = tuple(metrics.missing_partitions(db, now=now))
    return Postgres(**facts, dead_rows=dead, skew=row.at - now.timestamp(), missing_partitions=missing)


def _disks() -> dict[str, float]:
    usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage
    path = os.environ.get("WEDOPS_STATE", "/")
    try:
        total, used, _free = usage(path)
    except OSError:
        return {}
    return {path: used / total}
