"""What keeps the cache in order: expired copies, structure, comparison with the source, warm-ups' worth."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from workers.caching import keys, telemetry
from workers.caching.formats.envelope import Envelope
from workers.caching.rules.kinds import Kind, Policy
from workers.caching.rules.structure import Compared, Condition, Held, Structure
from workers.caching.store import inspection, server
from workers.caching.store.entries import Loaded
from workers.caching.store.local import Key
from workers.caching.usecases import changing, peak, sources, warming
from workers.foundation import clock, database, logs, settings
from workers.foundation.moments import MachineMoment, Moment

log = logs.get("caching")

#: For so long what was found says how it is.
SAYS_SOMETHING = timedelta(minutes=20)
COMPARED, UNREAD, POISONED = "compared", "unread", "poisoned"


def expire(*, now: Moment, machine: MachineMoment) -> None:
    """Have processes drop expired copies, add up what gateways read, and see what warm-ups were worth."""
    server.tell(keys.EXPIRE)
    server.cool()
    _count_gateways(machine)
    with database.transaction() as db:
        outcomes = warming.evaluate(db, machine=machine)
    if outcomes:
        unread = sorted(id for id, one in outcomes.items() if one.precision == 0)
        inspection.keep_finding(UNREAD, {"weddings": unread, "of": len(outcomes), "at": machine.timestamp()})
    peak.follow_plan(now=now)


def _count_gateways(machine: MachineMoment) -> None:
    refused = 0
    for field, many in inspection.drain_counts().items():
        what, _, kind = field.partition("|")
        if what == "hit":
            telemetry.reads.labels("server", kind, "gateway").inc(many)
            continue
        refused += many
        if what == "refused":
            telemetry.refused.labels("gateway").inc(many)
    if refused:
        inspection.keep_finding(POISONED, {"entries": refused, "at": machine.timestamp()})


def inspect(*, machine: MachineMoment) -> Structure:
    """Look at the server's structure, mend what is amiss, and keep what was found."""
    known, at = inspection.findings().get(inspection.STRUCTURE), machine.timestamp()
    before = _structure(known["found"]) if known else None
    found = inspection.look(before, max(1.0, at - known["at"]) if known else 1.0)
    totals = {"|".join(name): many for name, many in server.totals().items()}
    inspection.keep_finding(inspection.STRUCTURE, {"found": asdict(found), "totals": totals, "at": at})
    _publish(found)
    if found.orphans:
        inspection.keep_finding(POISONED, {"entries": found.orphans, "at": at})
    return found


def _structure(facts: dict[str, Any]) -> Structure:
    kinds = {name: Held(**own) for name, own in facts["kinds"].items()}
    return Structure(**facts | {"kinds": kinds, "big": tuple(facts["big"])})


def _publish(found: Structure) -> None:
    for kind in Kind:
        held = found.kinds.get(kind, Held(0, 0))
        telemetry.held.labels(kind).set(held.entries)
        telemetry.held_bytes.labels(kind).set(held.bytes)
    telemetry.server_bytes.set(found.used)
    telemetry.server_limit.set(found.limit)
    telemetry.evictions.set(found.evictions_per_s)
    telemetry.operations.set(found.operations_per_s)
    if found.ratio is not None:
        telemetry.compressed.set(found.ratio)


def compare(*, now: Moment, machine: MachineMoment) -> Compared:
    """Compare some entries with their source, take out those that are older, and keep how many they were.

    Meta's Polaris watches its caches in this way: an invalidation that was lost is seen, whatever lost it.
    """
    sampled = inspection.sample(settings.read(Policy).compare)
    by_key = {_key(name): entry for name, entry in sampled.items()}
    with database.transaction() as db:
        actual = sources.load_all(db, list(by_key), now=now)
    older = {
        key: actual[key].revision
        for key, entry in by_key.items()
        if _is_older(entry, actual[key], now, machine)
    }
    # A change that was made a moment ago may be on its way: one that is there still was missed.
    stale = _still(older) if older else {}
    for key, revision in stale.items():
        changing.invalidate([key], revision)
        log.warning("stale entry", kind=key[0], reason="invalidation_lost")
    made = [by_key[key].made for key in stale]
    found = Compared(len(by_key), len(stale), machine.timestamp() - min(made) / 1000 if made else 0.0)
    telemetry.stale_share.set(found.share)
    inspection.keep_finding(COMPARED, {"found": asdict(found), "at": machine.timestamp()})
    return found


def condition() -> Condition:
    """Return what was found last, as far as it still says something."""
    known = inspection.findings(within=SAYS_SOMETHING)
    return Condition(
        _structure(known[inspection.STRUCTURE]["found"]) if inspection.STRUCTURE in known else None,
        Compared(**known[COMPARED]["found"]) if COMPARED in known else Compared(0, 0),
        known.get(POISONED, {}).get("entries", 0),
        tuple(known.get(UNREAD, {}).get("weddings", ())),
    )


def _key(name: str) -> Key:
    kind, *ids = name.split(":")
    return kind, tuple(ids)


def _is_older(entry: Envelope, actual: Loaded, now: Moment, machine: MachineMoment) -> bool:
    if entry.revision >= actual.revision:
        return False
    if entry.name.startswith(Kind.USER):
        # Which weddings are near changes by itself; what is said of one does not.
        age = clock.of_the_world(machine) - clock.of_the_world(clock.machine_at(entry.made / 1000))
        made = Moment(now - age)
        own, theirs = (
            [one for one in value["weddings"] if _is_near(one, made, now)]
            for value in (entry.value, actual.value)
        )
        return own != theirs
    return bool(entry.value != actual.value)


def _is_near(duty: Mapping[str, str], *moments: Moment) -> bool:
    """Tell whether a wedding of a supplier is near at each of some moments."""
    starts, ends = (datetime.fromisoformat(duty[name]) for name in ("starts_at", "ends_at"))
    return all(starts < at + sources.AHEAD and ends > at - sources.AGO for at in moments)


def _still(older: dict[Key, int]) -> dict[Key, int]:
    changing.forget_changed()
    left = server.get_all([keys.name(*key) for key in older])
    return {key: revision for key, revision in older.items() if keys.name(*key) in left}
