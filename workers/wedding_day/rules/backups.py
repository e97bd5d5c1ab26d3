"""Whose connections must not be the only ones: couple, planners, and who owns a critical moment. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from workers.connections.rules.admission import UserType
from workers.weddings.rules.calendar import Wedding, of_type
from workers.weddings.rules.timeline import TimelineMoment

#: Who has just come may still be opening the second connection.
GRACE = timedelta(minutes=5)


def critical_suppliers(wedding: Wedding, moments: Sequence[TimelineMoment]) -> list[str]:
    """Return the suppliers that own a critical moment, by their id or by what they are; planners are not."""
    owners = {one.owner for one in moments if one.critical and one.owner}
    own = {one for owner in owners for one in of_type(wedding, owner) or [owner]}
    planners = set(of_type(wedding, UserType.PLANNER))
    return [one for one in wedding.supplier_ids if one in own and one not in planners]


def seen(connections: Iterable[tuple[str, int, int]]) -> Mapping[str, tuple[int, int]]:
    """Return how many of each type are connected, and how many of them have a backup that answers.

    `connections` are (user type, connections, backups that answer) of each user.
    """
    found: dict[str, tuple[int, int]] = {}
    for kind, _, backups in connections:
        connected, backed = found.get(kind, (0, 0))
        found[kind] = connected + 1, backed + (backups > 0)
    return found


def is_missing(seen: Mapping[str, tuple[int, int]]) -> bool:
    """Tell whether somebody has no backup."""
    return any(backed < connected for connected, backed in seen.values())
