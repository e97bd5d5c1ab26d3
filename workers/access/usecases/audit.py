"""Writing down who did what, and reading it."""

import socket
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from workers.access.rules.audit import Deed, Kind
from workers.access.store import audit as store
from workers.commands.usecases import commands
from workers.foundation import addresses, database, logs, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import MachineMoment

log = logs.get("access")

#: How a caller of the API is written down: this, and its name.
BY_HTTP = "api/"


def record(who: str, action: str, subject: str, outcome: str, *, now: MachineMoment) -> None:
    """Write down what a person did here; a database that does not take it must not be what fails them."""
    try:
        login = addresses.postgres(settings.servers().database_url).get("user", "")
        facts = (who, socket.gethostname(), login, action, subject[:200], outcome)
        deed = Deed(now, Kind.PERSON, *map(storable, facts))
        with database.transaction() as db:
            store.append(db, deed)
    except (ExpectedError, DBAPIError) as error:
        log.warning("not audited", action=action, by=who, reason=type(error).__name__)


def deeds(since: datetime, *, who: str = "", subject: str = "", limit: int) -> list[Deed]:
    """Return what people did, and what services had done, the oldest first."""
    with database.transaction() as db:
        found = list(store.since(db, since, who=who, subject=subject, limit=limit))
        asked = commands.since(db, since, caller=who, wedding_id=subject, limit=limit)
    of_services = [
        Deed(at, Kind.SERVICE, caller, "broker", caller, task, wedding_id, state)
        for at, caller, task, wedding_id, state in asked
        # Those that came by HTTP are written down above, with their key.
        if not caller.startswith(BY_HTTP)
    ]
    return sorted([*found, *of_services], key=lambda one: one.at)[-limit:]


def record_call(
    db: Connection, who: str, key: str, action: str, subject: str, source: str, *, now: MachineMoment
) -> None:
    """Write down what a caller had done by HTTP, in the transaction of that."""
    facts = (who, source, f"key {key}", action, subject[:200], "done")
    store.append(db, Deed(now, Kind.SERVICE, *map(storable, facts)))
