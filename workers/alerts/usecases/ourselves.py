"""The watch over the task system: asks each part, without a task, so that no queue it watches can silence it."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.rules.ourselves import SILENT, Postgres, Seen, judge, starting, unexplained
from workers.alerts.usecases import escalation as telling
from workers.alerts.usecases import evaluation, surroundings
from workers.app import app
from workers.foundation import clock, database, jobs, journal, keys, logs, queues, redis, settings
from workers.measurements.store import points
from workers.measurements.usecases import intake as metrics
from workers.measurements.usecases import keeping
from workers.notify import adapters, formats
from workers.notify import usecases as notify
from workers.notify.rules import BODY, OPERATIONS, safe
from workers.outbox import store as outbox

log = logs.get("alerts")

#: In seconds: for so long a worker that is gone is missed; a look sends no longer; so many looks make sure without a database.
FORGOTTEN, ENOUGH, LOOKS = 3600, 4.0, 2
#: In seconds: the slowest pace of jobs that page is a minute.
AFTERMATH = 90.0
#: From look to look, in seconds.
EVERY = 5.0


@dataclass
class Watch:
    """What the watch remembers between looks when there is no database: what is critical, since how many looks, and told.

    Until `settled_at` (of the stopwatch) what has not started yet is not missed.
    """

    settled_at: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    told: dict[str, Breach] = field(default_factory=dict)
    #: What was away of late, and until when that explains what follows from it: jobs need a run to be well again.
    explaining: dict[Kind, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look at everything once, and tell; what is away is what it is there to find."""
        policy, now = settings.read(Policy), clock.now()
        seen = observe()
        shows = clock.stopwatch()
        self.explaining |= dict.fromkeys(seen.away, shows + AFTERMATH)
        found, known = judge(seen if shows >= self.settled_at else starting(seen), policy)
        found = unexplained(found, {kind for kind, until in self.explaining.items() if shows < until})
        if Kind.DATABASE in seen.away:
            self._tell_without(found)
            return
        try:
            evaluation.bring(found, Evaluator.TASK_SYSTEM, policy, now=now, judged=lambda name: name.partition("/")[0] in known)
            with database.transaction() as db:
                telling.escalate(db, policy, now=now)
            # Beside the task that does: this must not wait in a queue that it is about.
            notify.deliver(ENOUGH)
        except (database.DatabaseUnavailable, SQLAlchemyError, psycopg.Error) as error:
            log.error("alerts not written", reason=type(error).__name__)
            away = Breach(
                Kind.DATABASE, Kind.DATABASE, Severity.CRITICAL, 1.0, f"the database takes nothing ({type(error).__name__})"
            )
            self._tell_without(unexplained([*found, away], {Kind.DATABASE}))
        else:
            # What still stands is an alert like any other now, and told as one.
            self._tell_end(())
            self.seen.clear()

    def _tell_without(self, found: list[Breach]) -> None:
        """Tell NOTIFY_TARGETS of what is critical in a second look as well, once while it lasts: no row remembers it."""
        urgent = {breach.fingerprint: breach for breach in found if breach.severity is Severity.CRITICAL}
        self.seen = Counter({name: self.seen[name] + 1 for name in urgent})
        self._tell_end(urgent.keys())
        for fingerprint, breach in urgent.items():
            if fingerprint in self.told or self.seen[fingerprint] < LOOKS:
                continue
            title = f"{breach.severity} firing: {breach.kind}"
            if _send(title, f"{breach.detail}. See {surroundings.runbook(breach.kind)}", breach, fingerprint):
                self.told[fingerprint] = breach

    def _tell_end(self, standing: Container[str]) -> None:
        """Say of what was told without the database and does not stand any more that it is over."""
        for fingerprint in [one for one in self.told if one not in standing]:
            breach = self.told.pop(fingerprint)
            _send(f"resolved: {breach.kind}", f"{breach.detail}: this is over", breach, f"{fingerprint}/end")


def _send(title: str, body: str, breach: Breach, key: str) -> bool:
    """Tell every target, and note it: no row has it."""
    text = safe(body, BODY)
    sent = [adapters.send(url, title, text, breach.severity, key=key) for url in adapters.targets().values()]
    if any(sent):
        journal.note(f"told {OPERATIONS} without the database: {title}: {text}", by="watch")
    return any(sent)


def observe() -> Seen:
    """Return what each part says now."""
    away: dict[Kind, str] = {}
    facts: dict[str, object] = {"disks": _disks()}
    with _noting(away, Kind.BROKER):
        facts |= _of_redis()
    with _noting(away, Kind.CACHE):
        _settings_of_cache(facts)
    with _noting(away, Kind.DATABASE):
        database.knock()
        with database.transaction() as db:
            facts |= {"postgres": _of_postgres(db), "untold": outbox.failing(db, formats.KIND)}
    return Seen(away=away, **facts)  # type: ignore[arg-type]


@contextmanager
def _noting(away: dict[Kind, str], kind: Kind) -> Iterator[None]:
    try:
        yield
    except database.DatabaseUnavailable as error:
        away[kind] = str(error)
    except (*redis.UNREACHABLE, OperationalError, OSError) as error:
        away[kind] = f"the {kind} does not answer ({type(error).__name__})"
    except (SQLAlchemyError, psycopg.Error, RedisError, ValueError) as error:
        # A replica, a full memory, a right that is missing: it is there, and of no use.
        away[kind] = f"the {kind} answers with an error ({type(error).__name__}); `wedops doctor` names the remedy"


def _of_redis() -> dict[str, object]:
    server = redis.registry()
    before = clock.epoch()
    seconds, micros = redis.server_time(server)
    at, records = clock.epoch(), jobs.records()
    backlog = points.buffered() / metrics.policy().buffer_most
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
