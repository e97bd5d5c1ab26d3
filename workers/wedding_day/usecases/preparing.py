"""Steps that prepare weddings: warm data, a tenant that is awake."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from workers.caching.rules.kinds import Ids, Kind
from workers.caching.store import results
from workers.caching.store.results import Result
from workers.caching.usecases import showing, warming
from workers.connections.rules.admission import UserType
from workers.foundation import database, logs, redis
from workers.foundation.moments import Moment
from workers.wedding_day import adapters
from workers.wedding_day.rules.optimising import Step
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

log = logs.get("wedding_day")

#: What each step is for; of those that are for one thing.
OPERATIONS = {
    Step.WARM: "share of what who joins has to load",
    Step.WAKE: "join a channel of Supabase Realtime, ms",
}
#: When what was warmed is measured, and until when.
WARM_AFTER, WARM_WITHIN = timedelta(minutes=1), timedelta(minutes=30)


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
