"""What is optimised before weddings, whether it helped, and which indexes are proposed. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import Any, ClassVar

from workers.weddings.rules.calendar import Wedding

#: When what is done, before a wedding.
MARKS = {"7d": timedelta(days=7), "24h": timedelta(hours=24), "2h": timedelta(hours=2)}
#: From so many rows on reading a table as a whole is slow.
LARGE = 10_000


class Step(StrEnum):
    """What can be done."""

    #: What its participants ask for is in the cache.
    WARM = "optimise_warm"
    #: A supplier of many weddings may have more connections, until they are over.
    SUPPLIER_LIMIT = "optimise_supplier_limit"
    #: The statistics of tables that a slow operation reads are made anew.
    ANALYZE = "optimise_analyze"
    #: An index is proposed, never made.
    INDEX = "optimise_index"
    #: A tenant of Supabase Realtime that nobody used for long has its database connection again.
    WAKE = "optimise_wake"
    #: The database was looked at for a wedding, and nothing else done.
    LOOK = "optimise_look"


@dataclass(frozen=True)
class Policy:
    """An operation of a wedding's day is slow from `slow` on. A step that did not help rests for `rests`.

    `helps` is by which share its operation must be faster for a step to have helped. A supplier has
    `connections_per_wedding` connections at each wedding that runs at once.
    """

    prefix: ClassVar = "OPTIMISER_"

    slow: timedelta = timedelta(milliseconds=50)
    helps: float = 0.1
    rests: timedelta = timedelta(days=14)
    connections_per_wedding: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what would call everything a help."""
        if not 0 < self.helps < 1:
            raise ValueError("helps must lie between 0 and 1")
        if not timedelta(0) <= self.slow <= timedelta(seconds=20):
            raise ValueError("slow must be from 0s to 20s")
        if not 0 < self.connections_per_wedding <= 100:
            raise ValueError("connections_per_wedding must be above 0 and 100 at most")


def effect(before: float, after: float) -> float:
    """Return by which share an operation takes more (above 0) or less than before."""
    return after / before - 1 if before else 0.0


def helped(before: float, after: float, policy: Policy) -> bool:
    """Tell whether a step made its operation faster, or gave what was lacking."""
    return effect(before, after) <= -policy.helps


def at_once(own: Sequence[Wedding]) -> int:
    """Return at how many of some weddings people are at the same time, at most."""
    return max(sum(one.starts_at <= each.starts_at < one.ends_at for one in own) for each in own)


def limit_for(weddings: int, policy: Policy) -> int:
    """Return how many connections a supplier needs who works at so many weddings at once.

    A quarter is to spare; in steps of 50.
    """
    return ceil(weddings * policy.connections_per_wedding * 1.25 / 50) * 50


@dataclass(frozen=True)
class Index:
    """An index that would spare a statement from reading a table as a whole."""

    table: str
    columns: Sequence[str]

    @property
    def statement(self) -> str:
        """Return what makes it without keeping anybody from writing."""
        return f"CREATE INDEX CONCURRENTLY ON {self.table} ({', '.join(self.columns)})"


def proposals(
    plan: Mapping[str, Any], rows: Mapping[str, float], columns: Mapping[str, Sequence[str]]
) -> list[Index]:
    """Return the indexes that a plan lacks: for large tables that it reads as a whole and filters.

    `plan` is a node as EXPLAIN (FORMAT JSON) has it; `rows` and `columns` are of each table. Columns that are
    compared for equality stand first.
    """
    found = []
    for node in _nodes(plan):
        table = str(node.get("Relation Name", ""))
        if node.get("Node Type") == "Seq Scan" and rows.get(table, 0.0) >= LARGE and "Filter" in node:
            named = list(_compared(str(node["Filter"]), columns.get(table, ())))
            if named:
                found.append(Index(table, named))
    return list(dict.fromkeys(Index(one.table, tuple(one.columns)) for one in found))


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for one in node.get("Plans", ()):
        yield from _nodes(one)


def _compared(condition: str, columns: Iterable[str]) -> Iterator[str]:
    equal, ranged = list[str](), list[str]()
    for name in columns:
        if found := re.search(rf'(?<![\w."])"?{re.escape(name)}"?\)?(?:::[\w ]+)? (=|<=?|>=?) ', condition):
            (equal if found[1] == "=" else ranged).append(name)
    # One range is all that an index can follow.
    yield from [*equal, *ranged[:1]]


@dataclass(frozen=True)
class Health:
    """What may slow a database down.

    `bloated` has the share of dead rows of tables where it is large; `idle` are (process id, seconds,
    application) of transactions that do nothing; `connections` of `connections_max` are used.
    """

    bloated: Mapping[str, float]
    idle: Sequence[tuple[int, float, str]]
    connections: int
    connections_max: int


def findings(health: Health) -> list[str]:
    """Return what people should see to, with the remedy."""
    found = [
        f"{table}: {share:.0%} of its rows are dead; VACUUM {table}, and see why autovacuum did not"
        for table, share in sorted(health.bloated.items())
    ]
    found += [
        f"process {pid} ({application or 'unnamed'}) holds a transaction for {seconds:.0f} s and does "
        f"nothing; end its program, or SELECT pg_terminate_backend({pid})"
        for pid, seconds, application in health.idle
    ]
    if health.connections >= 0.8 * health.connections_max:
        found.append(
            f"{health.connections} of {health.connections_max} connections are used; raise max_connections, "
            "or put PgBouncer before it"
        )
    return found
