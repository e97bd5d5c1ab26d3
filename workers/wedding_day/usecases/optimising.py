"""Optimising for weddings: a week, a day and two hours before, on critical trouble, or by hand.

Each step is measured on the operation it is for; one that did not help rests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from workers.alerts.rules.kinds import Severity
from workers.alerts.rules.lifecycle import State
from workers.alerts.store import alerts
from workers.caching.store import results
from workers.caching.usecases import warming
from workers.foundation import database, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.wedding_day.rules import optimising as rules
from workers.wedding_day.rules.optimising import MARKS, Policy, Step
from workers.wedding_day.usecases import databases, limits, preparing, resting
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

log = logs.get("wedding_day")

#: A mark that passed while nothing ran still counts for so long.
WITHIN = timedelta(hours=1)
BY_HAND = "by_hand"
#: What is done at a mark; the database is looked at at each. Before set-up, and two hours before, the look at
#: a wedding has it warmed.
_AT = {"7d": (), "24h": (Step.WARM, Step.SUPPLIER_LIMIT), "2h": (Step.WAKE,)}
_TROUBLE: tuple[Step, ...] = (Step.WARM, Step.WAKE)


class ResultUnknown(ExpectedError):
    """there is no result {id}; `wedops weddings optimise` lists them"""

    http_status = 404


class NotUndone(ExpectedError):
    """result {id} is not undone: {why}"""

    http_status = 409


@dataclass(frozen=True)
class Done:
    """A result, by which share its operation takes more or less than before, and whether that helped.

    None where it is not known yet.
    """

    row: Mapping[str, object]
    effect: float | None
    helped: bool | None


def optimise(*, now: Moment, machine: MachineMoment) -> int:
    """Do what is due before weddings and on critical trouble, measure what was done, undo what is over.

    Return of how many weddings something was due. Done twice, it changes nothing the second time.
    """
    preparing.measure_warm(now=now)
    undo_expired(now=now, machine=machine)
    limits.apply(now=now, machine=machine)
    with database.transaction() as db:
        due = {mark: _passed(db, before, now) for mark, before in MARKS.items()} | _in_trouble(db)
        rests = resting.rests(db, Step.WARM, preparing.OPERATIONS[Step.WARM], now=now)
    count = 0
    for mark, found in due.items():
        steps = [step for step in _AT.get(mark, _TROUBLE) if not (rests and step is Step.WARM)]
        count += _prepare(found, mark, steps, now=now, machine=machine)
    if count:
        databases.look(now=now)
    return count


def _prepare(
    found: Sequence[Wedding], mark: str, steps: Sequence[Step], *, now: Moment, machine: MachineMoment
) -> int:
    """Do the steps of a mark for weddings for which they were not done; return for how many.

    Each has an effect of its own key, and is done before it is noted: what dies on the way is done again.
    """
    new = preparing.fresh(found, mark) if found else {}
    if not new:
        return 0
    ours = [*new.values()]
    if Step.SUPPLIER_LIMIT in steps:
        limits.raise_for(ours, mark, now=now, machine=machine)
    if Step.WAKE in steps:
        preparing.wake(ours[0], now=now)
    preparing.note(new, mark, warm=Step.WARM in steps, now=now)
    log.info("optimised", reason=mark, weddings=len(new))
    return len(new)


def _passed(db: Connection, before: timedelta, now: Moment) -> list[Wedding]:
    near = weddings.between(db, now + before - WITHIN, now + before + timedelta(seconds=1))
    return [one for one in near if now + before - WITHIN < one.starts_at <= now + before]


def _in_trouble(db: Connection) -> dict[str, list[Wedding]]:
    """Return the weddings that a critical alert is about, by what their results are keyed with."""
    active = [
        one
        for one in alerts.listed(db, limit=None, ended=False)
        if one.wedding_id and one.severity is Severity.CRITICAL and one.state is not State.PENDING
    ]
    return {f"alert-{one.id}": weddings.by_id(db, [one.wedding_id]) for one in active}


def by_hand(
    wedding_id: str, *, key: str, now: Moment, machine: MachineMoment, waits: bool = True
) -> list[Done]:
    """Optimise for a wedding at once, all steps, also those that rest; return what came of each.

    Data is warmed once a `key`; who `waits` has it warm, and measured, on return. Raises WeddingUnknown.
    """
    with database.transaction() as db:
        wedding = weddings.require(db, wedding_id)
        known = {row["id"] for row in results.of_operations(db, limit=200)}
    mark = f"{BY_HAND}-{key}"
    _prepare([wedding], mark, [Step.WARM, Step.SUPPLIER_LIMIT, Step.WAKE], now=now, machine=machine)
    databases.look(now=now, also_resting=True)
    if waits:
        warming.run(now=now, machine=machine)
        preparing.measure_warm(now=now, at_once=True)
    return [one for one in history(limit=200) if one.row["id"] not in known]


def undo_expired(*, now: Moment, machine: MachineMoment) -> int:
    """Undo what was done for weddings that are over; return how many results."""
    with database.transaction() as db:
        over = results.expired(db, Step.SUPPLIER_LIMIT, at=now)
    for row in over:
        limits.lower(row, now=now, machine=machine)
    return len(over)


def undo(id: int, *, now: Moment, machine: MachineMoment) -> None:
    """Undo a result. Raises ResultUnknown, NotUndone."""
    with database.transaction() as db:
        row = results.find(db, id)
    if row is None:
        raise ResultUnknown(id=id)
    if row["kind"] != Step.SUPPLIER_LIMIT or row["undone_at"]:
        why = "it was undone already" if row["undone_at"] else f"{row['kind']} leaves nothing to undo"
        raise NotUndone(id=id, why=why)
    limits.lower(row, now=now, machine=machine)


def history(*, limit: int = 50) -> list[Done]:
    """Return what was done, the newest first, with its effect."""
    policy = settings.read(Policy)
    with database.transaction() as db:
        rows = results.of_operations(db, limit=limit)
    return [_done(row, policy) for row in rows]


def _done(row: Mapping[str, object], policy: Policy) -> Done:
    before, after = row["before"], row["after"]
    if not isinstance(before, float) or not isinstance(after, float):
        return Done(row, None, None)
    return Done(row, rules.effect(before, after), rules.helped(before, after, policy))
