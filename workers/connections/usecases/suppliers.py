"""Suppliers whose plan has a limit of its own on simultaneous connections."""

from workers.connections.store import plans
from workers.connections.store import registry as store
from workers.foundation import database, redis
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment
from workers.weddings.rules.calendar import ID, ID_REMEDY

#: A larger plan is a slip of the hand.
MAX_PER_SUPPLIER = 100_000


class LimitRefused(ExpectedError):
    """limit refused: {problem}"""


class LimitUnpublished(ExpectedError):
    """the limit is kept, and obeyed within a minute of the registry's return: it does not answer now
    ({cause})"""


def limit_supplier(supplier_id: str, connections: int, *, now: MachineMoment) -> None:
    """Give a supplier the limit of its plan, 0 for the one that all have.

    Kept, and obeyed at once. Raises LimitRefused.
    """
    all_have = store.policy().supplier_limit
    if not ID.fullmatch(supplier_id):
        raise LimitRefused(problem=f"supplier_id must be {ID_REMEDY}")
    if connections and not all_have <= connections <= MAX_PER_SUPPLIER:
        raise LimitRefused(
            problem=f"connections must be from {all_have} (which all have) to {MAX_PER_SUPPLIER}, or 0"
        )
    with database.transaction() as db:
        plans.set_limit(db, supplier_id, connections, at=now)
    try:
        store.publish_limits(suppliers={supplier_id: connections})
    except redis.UNREACHABLE as error:
        raise LimitUnpublished(cause=error) from error


def all_have() -> int:
    """Return how many connections at once a supplier may have who has no limit of its own."""
    return store.policy().supplier_limit


def limits() -> dict[str, int]:
    """Return the suppliers with a limit of their own."""
    with database.transaction() as db:
        return {supplier: connections for supplier, connections in plans.limits(db).items() if connections}
