"""What the doors cost: admissions as a gateway's user, signed tasks, queries under row level security.

Each beside the same thing by the owner's login, unsigned, and past all policies, in one run. An admission is
one that is opened and closed; ours by TLS, the other one past it, on one server (which must be built with
it).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from benchmarks import form
from benchmarks.task_rate import _rate
from workers.access.rules.roles import Logins, Role
from workers.access.usecases import grants
from workers.connections.store import registry
from workers.connections.store.registry import Connection as Socket
from workers.foundation import claims, clock, database, redis
from workers.foundation.claims import Claims
from workers.foundation.moments import Moment
from workers.processes import servers
from workers.weddings.rules.calendar import VenueType, Wedding
from workers.weddings.store import versions, weddings

LOGINS = Logins(**{str(role): f"local:{role}-secret-of-the-bench" for role in Role if role is not Role.OWNER})
KEYS = "wedops:a-secret-of-the-bench-with-32-letters"
ADMISSIONS, WEDDINGS, EACH = 3_000, 10_000, 200
NOON = Moment(datetime(2026, 10, 10, 12, tzinfo=UTC))


def main() -> None:
    """Print the figures."""
    port = servers.free_port()
    beside = form.broker({"port": str(port)}, tls=True)
    with form.broker(shared=False) as cache, beside as safe, form.database():
        os.environ["WEDOPS_CACHE_URL"] = cache
        _fill()
        login = urlsplit(safe).netloc.rpartition("@")[0]
        os.environ["WEDOPS_BROKER_URL"] = f"redis://{login}@{servers.LOOPBACK}:{port}/0"
        grants.apply(LOGINS)
        owner = {name: os.environ[name] for name in ("WEDOPS_BROKER_URL", "WEDOPS_DATABASE_URL")}
        contestants = {
            "ours": lambda: _measured(owner, safe=safe),
            "open": lambda: _measured(owner),
        }
        form.main("doors", contestants, _ratios, runs=5)


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    ours, peer = medians["ours"], medians["open"]
    return {
        "admissions_per_s": ours["admissions_per_s"] / peer["admissions_per_s"],
        "task_rate": ours["tasks_per_s"] / peer["tasks_per_s"],
        "rls_overhead": ours["query_ms"] / peer["query_ms"],
        "rls_transaction_overhead": ours["transaction_ms"] / peer["transaction_ms"],
    }


def _measured(owner: dict[str, str], *, safe: str = "") -> form.Figures:
    """Measure once: with all doors closed when `safe`, the address by TLS, is given."""
    closed = bool(safe)
    # The measurement of tasks emptied the server.
    redis.load_functions()
    registry.publish_limits()
    with _as(owner | {"WEDOPS_BROKER_URL": safe} if closed else owner, Role.GATEWAY if closed else None):
        admissions = _admissions()
    with _as(owner, Role.API if closed else None):
        queries, transactions = _queries()
    signed = {"COMMANDS_KEYS": KEYS, "COMMANDS_SIGNED": "required"} if closed else {}
    os.environ |= signed
    try:
        tasks = _tasks()
    finally:
        for name in signed:
            del os.environ[name]
    return {
        "admissions_per_s": admissions,
        "tasks_per_s": tasks,
        "query_ms": queries,
        "transaction_ms": transactions,
    }


@contextmanager
def _as(owner: dict[str, str], role: Role | None) -> Iterator[None]:
    """Log in as a role for the length of the block; as the owner for None."""
    before = {name: os.environ[name] for name in owner}
    for name, url in owner.items():
        known = role and (name != "WEDOPS_DATABASE_URL" or role is Role.API)
        os.environ[name] = grants.as_role(url, role, LOGINS) if role and known else url
    try:
        yield
    finally:
        os.environ |= before


def _admissions() -> float:
    """Return how many connections a second are opened and closed."""
    begun = clock.stopwatch()
    for number in range(ADMISSIONS):
        id = f"c{number}-{begun:.6f}"
        who: dict[str, Any] = {"user_id": f"u-{id}", "user_type": "guest", "wedding_id": f"w-{number}"}
        ref = registry.open(Socket(id=id, node=f"n{number % 9}", region="us-west", **who)).ref
        registry.close(ref)
    return ADMISSIONS / (clock.stopwatch() - begun)


def _tasks() -> float:
    from benchmarks.probes import nothing

    found = _rate("benchmarks.probes", "steady", lambda producer, _n: nothing.apply_async(producer=producer))
    return found["tasks_per_s"]


def _by_id(sql: str) -> Callable[[Connection, str], object]:
    statement = text(sql)
    return lambda db, id: db.execute(statement, {"id": id}).all()


#: What the API asks most: for who joins, reports, acknowledges.
QUERIES: tuple[Callable[[Connection, str], Any], ...] = (
    lambda db, id: weddings.by_id(db, [id]),
    weddings.require,
    lambda db, id: versions.with_versions(db, {id}),
    _by_id("SELECT id, starts_at FROM weddings WHERE supplier_ids @> ARRAY['s-' || :id] AND ends_at > now()"),
    _by_id("SELECT * FROM wedding_days WHERE wedding_id = :id"),
    _by_id("SELECT * FROM moment_reports WHERE wedding_id = :id ORDER BY received_at DESC LIMIT 50"),
    _by_id("SELECT * FROM messages WHERE wedding_id = :id ORDER BY sent_at DESC LIMIT 20"),
    _by_id("SELECT r.* FROM message_recipients r JOIN messages m ON m.id = message_id WHERE wedding_id=:id"),
    _by_id("SELECT mode FROM wedding_holds WHERE wedding_id = :id AND until > now()"),
    _by_id("SELECT state FROM outbox WHERE wedding_id = :id AND state = 'waiting' LIMIT 20"),
)


def _queries() -> tuple[float, float]:
    """Return the mean of a query in ms, and of a transaction with one of them."""
    ids = [f"w-{number * 7 % WEDDINGS}" for number in range(EACH)]
    inside = 0.0
    for id in ids:
        with claims.claiming(Claims(id, f"s-{id}")), database.transaction() as db:
            begun = clock.stopwatch()
            for query in QUERIES:
                query(db, id)
            inside += clock.stopwatch() - begun
    begun = clock.stopwatch()
    for number, id in enumerate(ids * 5):
        with claims.claiming(Claims(id, f"s-{id}")), database.transaction() as db:
            QUERIES[number % len(QUERIES)](db, id)
    whole = clock.stopwatch() - begun
    return inside / EACH / len(QUERIES) * 1000, whole / EACH / 5 * 1000


def _fill() -> None:
    """Put a Saturday of weddings into the calendar, each with its suppliers."""
    made = [
        Wedding(
            id=f"w-{number}",
            starts_at=NOON,
            ends_at=Moment(NOON + timedelta(hours=6)),
            starts_local=NOON.replace(tzinfo=None) - timedelta(hours=4),
            ends_local=NOON.replace(tzinfo=None) + timedelta(hours=2),
            zone="America/New_York",
            guest_count=100,
            venue_type=VenueType.GARDEN,
            region="us-west",
            supplier_ids=tuple(f"s-w-{number + more}" for more in range(3)),
        )
        for number in range(WEDDINGS)
    ]
    with database.transaction() as db:
        weddings.upsert(db, made, at=NOON)
        db.exec_driver_sql("ANALYZE")


if __name__ == "__main__":
    main()
