"""Steps that prepare weddings: warm data, room for suppliers of many, a tenant that is awake."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from workers.caching.rules.kinds import Ids, Kind
from workers.caching.store import results
from workers.caching.store.results import Result
from workers.caching.usecases import showing, warming
from workers.connections.rules.admission import UserType
from workers.connections.usecases import suppliers
from workers.foundation import database, logs, redis, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.wedding_day import adapters
from workers.wedding_day.rules import optimising as rules
from workers.wedding_day.rules.optimising import Policy, Step
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import versions, weddings

log = logs.get("wedding_day")

#: What each step is for; of those that are for one thing.
OPERATIONS = {
    Step.WARM: "share of what who joins has to load",
    Step.WAKE: "join a channel of Supabase Realtime, ms",
}
#: When what was warmed is measured, and until when.
WARM_AFTER, WARM_WITHIN = timedelta(minutes=1), timedelta(minutes=30)
#: For so long a limit that was not set is set again; what is of this moment is of the past.
LIMIT_WITHIN, SOON = timedelta(days=2), timedelta(seconds=1)


class ResultUnknown(ExpectedError):
    """there is no result {id}; `wedops weddings optimise` lists them"""

    http_status = 404


class NotUndone(ExpectedError):
    """result {id} is not undone: {why}"""

    http_status = 409


def fresh(found: Sequence[Wedding], mark: str) -> dict[str, Wedding]:
    """Return the weddings that were not prepared at a mark yet, by the key of what says so, once a start."""
    by_key = {f"optimise/{mark}/{one.id}/{one.starts_local:%Y%m%dT%H%M}": one for one in found}
    with database.transaction() as db:
        known = results.known(db, by_key)
    return {key: one for key, one in by_key.items() if key not in known}


def note(new: Mapping[str, Wedding], mark: str, *, warm: bool, now: Moment) -> None:
    """Have weddings warmed, and note that they were prepared: what died before is done again."""
    cold = (_cold([*new.values()]) or {}) if warm else {}
    if cold:
        _warm({f"{key}/warm": (one.id, one.ends_at) for key, one in new.items() if one.id in cold})
    with database.transaction() as db:
        results.record(db, [_row(key, one, mark, cold.get(one.id)) for key, one in new.items()], at=now)


def _row(key: str, one: Wedding, mark: str, cold: float | None) -> Result:
    if cold is None:
        return Result(key, Step.LOOK, one.id, {"mark": mark})
    return Result(key, Step.WARM, one.id, {"mark": mark}, OPERATIONS[Step.WARM], cold)


def _cold(found: Sequence[Wedding]) -> dict[str, float] | None:
    """Return which share of what its people need on joining is not cached, of weddings where some is not.

    None where the cache does not say.
    """
    needed = {one.id: _joining(one) for one in found}
    try:
        is_cold = iter(showing.is_cold([entry for own in needed.values() for entry in own]))
    except redis.UNREACHABLE:
        return None
    shares = {id: sum(next(is_cold) for _ in own) / len(own) for id, own in needed.items()}
    return {id: share for id, share in shares.items() if share}


def _joining(one: Wedding) -> list[tuple[Kind, Ids]]:
    """Return what couple, planner and suppliers of a wedding need on joining."""
    own: list[tuple[Kind, Ids]] = [(Kind.WEDDING, (one.id,))]
    own += [(Kind.SUBSCRIPTION, (one.id, kind)) for kind in (UserType.COUPLE, UserType.PLANNER)]
    own += [(Kind.SUBSCRIPTION, (one.id, UserType.VENDOR, supplier)) for supplier in one.supplier_ids]
    return [*own, *((Kind.USER, (supplier,)) for supplier in one.supplier_ids)]


def _warm(wanted: Mapping[str, tuple[str, Moment]]) -> None:
    try:
        warming.request(wanted, "optimiser")
    except redis.UNREACHABLE as error:
        # They are warmed before set-up as well.
        log.warning("not warmed up", reason="redis", detail=str(error), weddings=len(wanted))


def measure_warm(*, now: Moment, at_once: bool = False) -> None:
    """Measure what who joins has to load still, of weddings that were warmed a minute ago."""
    until = now + timedelta(seconds=1) if at_once else now - WARM_AFTER
    with database.transaction() as db:
        asked = results.unmeasured(db, Step.WARM, since=now - WARM_WITHIN, until=until)
        warm = results.newest(db, results.WARM_UP, [row["wedding_id"] for row in asked])
    # Somebody else may have asked for the same: one warm-up does for both.
    rows = [row for row in asked if row["wedding_id"] in warm and warm[row["wedding_id"]] >= row["at"]]
    if not rows:
        return
    with database.transaction() as db:
        found = weddings.by_id(db, [row["wedding_id"] for row in rows])
    cold = _cold(found)
    if cold is not None:
        with database.transaction() as db:
            results.measured(db, {row["key"]: cold.get(row["wedding_id"], 0.0) for row in rows})


def raise_limits(found: Sequence[Wedding], mark: str, *, now: Moment, machine: MachineMoment) -> None:
    """Let suppliers of many weddings at once have as many connections as those need, until they end."""
    policy, ours = settings.read(Policy), {one for wedding in found for one in wedding.supplier_ids}
    with database.transaction() as db:
        needs, limits, active = _needs(db, ours, found, policy), suppliers.limits(), _active(db)
        rows = [
            _raised(mark, supplier, need, until, limits.get(supplier), active.get(supplier, []))
            for supplier, (need, until) in needs.items()
        ]
        results.record(db, [row for row in rows if row], at=now)
    apply_limits(now=now, machine=machine)


def _active(db: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the raises of limits that were not undone, by supplier, the first first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in results.active(db, Step.SUPPLIER_LIMIT):
        found.setdefault(row["detail"]["supplier"], []).append(row)
    return found


def _raised(
    mark: str,
    supplier: str,
    need: int,
    until: Moment,
    own: int | None,
    active: Sequence[Mapping[str, Any]],
) -> Result | None:
    """Return the raise of a supplier's limit; None where it has what it needs for so long."""
    before = active[0]["detail"]["from"] if active else own or 0
    enough = any(one["detail"]["to"] >= need and one["until"] >= until for one in active)
    if enough or need <= (before or suppliers.all_have()):
        return None
    lacks = max(0, need - (own or suppliers.all_have()))
    key = f"optimise/limit/{mark}/{supplier}/{until:%Y%m%dT%H%M}/{need}"
    operation = f"connections that supplier {supplier} has no place for"
    detail = {"supplier": supplier, "from": before, "to": need}
    return Result(key, Step.SUPPLIER_LIMIT, None, detail, operation, float(lacks), until=until)


def apply_limits(*, now: Moment, machine: MachineMoment) -> None:
    """Set the limits that were raised and not set yet, and measure what still has no place."""
    with database.transaction() as db:
        rows = results.unmeasured(db, Step.SUPPLIER_LIMIT, since=now - LIMIT_WITHIN, until=now + SOON)
    for row in rows:
        supplier, to = row["detail"]["supplier"], row["detail"]["to"]
        if suppliers.limits().get(supplier, 0) < to:
            _limit(supplier, to, machine)
            log.info("supplier limit raised", supplier_id=supplier, to=to, reason="many_weddings")
        lacks = max(0, to - suppliers.limits().get(supplier, suppliers.all_have()))
        with database.transaction() as db:
            results.measured(db, {row["key"]: float(lacks)})


def _limit(supplier: str, to: int, machine: MachineMoment) -> None:
    try:
        suppliers.limit_supplier(supplier, to, now=machine)
    except suppliers.LimitUnpublished as error:
        log.warning("supplier limit not published yet", reason="redis", detail=str(error))


def _needs(
    db: Connection, ours: Iterable[str], found: Sequence[Wedding], policy: Policy
) -> dict[str, tuple[int, Moment]]:
    """Return how many connections suppliers need around some weddings, and until when."""
    lingers = settings.read(calendar.Policy).wind_down_lasts
    start, end = min(one.starts_at for one in found), max(one.ends_at for one in found)
    theirs: dict[str, list[Wedding]] = {one: [] for one in ours}
    for wedding in versions.of_suppliers(db, theirs, start, end):
        for one in set(wedding.supplier_ids) & theirs.keys():
            theirs[one].append(wedding)
    return {
        one: (
            min(rules.limit_for(_at_once(own), policy), suppliers.MAX_PER_SUPPLIER),
            Moment(max(wedding.ends_at for wedding in own) + lingers),
        )
        for one, own in theirs.items()
        if own
    }


def _at_once(own: Sequence[Wedding]) -> int:
    """Return at how many of some weddings people are at the same time, at most."""
    return max(sum(one.starts_at <= each.starts_at < one.ends_at for one in own) for each in own)


def lower_limit(row: Mapping[str, Any], *, now: Moment, machine: MachineMoment) -> None:
    """Give a supplier the limit it had before, or what other weddings of it need still.

    Not where somebody gave it another one since.
    """
    supplier, to = row["detail"]["supplier"], row["detail"]["to"]
    with database.transaction() as db:
        ours = {one["detail"]["to"] for one in _active(db).get(supplier, [])}
        if not results.undo(db, row["id"], at=now):
            return
        left = [one["detail"]["to"] for one in _active(db).get(supplier, [])]
    if suppliers.limits().get(supplier) in ours:
        _limit(supplier, max(left, default=row["detail"]["from"]), machine)
    log.info("supplier limit lowered", supplier_id=supplier, was=to, reason="over")


def wake(wedding: Wedding, *, now: Moment) -> None:
    """Join a channel of Supabase Realtime, where that is used, so that its tenant is awake; once an hour."""
    if (tenant := adapters.tenant()) is None:
        return
    key = f"optimise/wake/{now:%Y%m%dT%H}"
    with database.transaction() as db:
        if results.detail(db, key) is not None:
            return
    try:
        cold, warm = (adapters.join_ms(tenant, wedding.id) for _ in range(2))
    except adapters.TenantUnreachable as error:
        log.warning("tenant not woken", reason="supabase", detail=str(error))
        return
    row = Result(key, Step.WAKE, None, {"wedding": wedding.id}, OPERATIONS[Step.WAKE], cold, warm)
    with database.transaction() as db:
        results.record(db, [row], at=now)
