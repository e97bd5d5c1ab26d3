"""Asking each part of the task system, without a task, so that no queue it watches can silence it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from workers.alerts.rules.kinds import Kind
from workers.app import app
from workers.foundation import clock, database, jobs, keys, queues, redis
from workers.measurements.store import points
from workers.measurements.usecases import intake, keeping
from workers.notify import formats
from workers.outbox import store as outbox
from workers.selfwatch.rules import SILENT, Postgres, Seen

#: In seconds: for so long a worker that is gone is missed.
FORGOTTEN = 3600


def observe() -> Seen:
    """Return what each part says now."""
    unavailable: dict[Kind, str] = {}
    facts: dict[str, object] = {"disks": _disks()}
    with _noting(unavailable, Kind.BROKER):
        facts |= _of_redis()
    with _noting(unavailable, Kind.CACHE):
        _settings_of_cache(facts)
    with _noting(unavailable, Kind.DATABASE):
        database.probe()
        with database.transaction() as db:
            facts |= {"postgres": _of_postgres(db), "undelivered": outbox.failing(db, formats.KIND)}
    return Seen(unavailable=unavailable, **facts)  # type: ignore[arg-type]


@contextmanager
def _noting(unavailable: dict[Kind, str], kind: Kind) -> Iterator[None]:
    try:
        yield
    except database.DatabaseUnavailable as error:
        unavailable[kind] = str(error)
    except (*redis.UNREACHABLE, OperationalError, OSError) as error:
        unavailable[kind] = f"the {kind} does not answer ({type(error).__name__})"
    except (SQLAlchemyError, psycopg.Error, RedisError, ValueError) as error:
        # A replica, a full memory, a right that is missing: it is there, and of no use.
        unavailable[kind] = (
            f"the {kind} answers with an error ({type(error).__name__}); `wedops doctor` names the remedy"
        )


def _of_redis() -> dict[str, object]:
    server = redis.registry()
    before = clock.epoch()
    seconds, micros = redis.server_time(server)
    at, records = clock.epoch(), jobs.records()
    backlog = points.buffered() / intake.policy().buffer_max
    return {
        "stopped": [record.name for record in records if record.stopped() and record.name != jobs.WATCH],
        "overdue": {record.name: at - record.next for record in records if record.overdue(at)},
        "beats": len(jobs.beats(at)),
        "queues": {queue.name: queue.oldest for queue in queues.lengths_and_ages()},
        "backlog": backlog,
        "silent": _silent(at),
        "memory": redis.memory_used(),
        "settings": _settings_of_broker(),
        "redis_skew": seconds + micros / 1e6 - (before + at) / 2,
    }


def _silent(at: float) -> dict[str, float]:
    """Ask each worker; return for how long those have been silent that answered once and do not now."""
    answers: dict[str, float] = {name: at for reply in app.control.ping(timeout=1.0) for name in reply}
    server = redis.registry()
    if answers:
        server.hset(keys.WORKERS, mapping=answers)
    known = {name: float(seen) for name, seen in server.hgetall(keys.WORKERS).items()}
    if gone := [name for name, seen in known.items() if at - seen > FORGOTTEN]:
        server.hdel(keys.WORKERS, *gone)
    return {name: at - seen for name, seen in known.items() if at - seen > SILENT}


def _settings_of_broker() -> dict[str, str]:
    found = {}
    # A managed server may not let its settings be read: then nothing is said of them.
    with suppress(RedisError):
        for name, servers in redis.keeping().items():
            for server in servers:
                if server.info("memory").get("maxmemory_policy", "noeviction") != "noeviction":
                    found[name] = "may evict what it must keep: `CONFIG SET maxmemory-policy noeviction`"
                elif not server.info("persistence").get("aof_enabled", 1):
                    found[name] = "keeps nothing on disk: `CONFIG SET appendonly yes`"
    return found


def _settings_of_cache(facts: dict[str, object]) -> None:
    redis.cache_server().ping()
    with suppress(RedisError):
        policy = redis.cache_server().info("memory").get("maxmemory_policy", "allkeys-lfu")
        if policy == "noeviction":
            known = facts.get("settings") or {}
            assert isinstance(known, dict)  # noqa: S101 - it is ours
            facts["settings"] = known | {"cache": "may not evict: `CONFIG SET maxmemory-policy allkeys-lfu`"}


_POSTGRES = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS at,
        (SELECT count(*) FROM pg_stat_activity)::float8 / current_setting('max_connections')::float8
            AS connections,
        coalesce((SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication), 0)::float8
            AS standby_behind,
        coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots
            WHERE NOT active), 0)::bigint AS wal_held,
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
    missing = tuple(keeping.missing_partitions(db, now=now))
    return Postgres(**facts, dead_rows=dead, skew=row.at - now.timestamp(), missing_partitions=missing)


def _disks() -> dict[str, float]:
    usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage
    path = os.environ.get("WEDOPS_STATE", "/")
    try:
        total, used, _free = usage(path)
    except OSError:
        return {}
    return {path: used / total}
