"""Deciding about every resource, writing it down, and asking for what is above a cap."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from workers.foundation import clock, database, logs, telemetry
from workers.foundation.errors import error_code, safe_message
from workers.foundation.moments import MachineMoment, Moment
from workers.measurements.rules.samples import Sample
from workers.measurements.usecases import intake
from workers.notify import usecases as notify
from workers.notify.rules import Notification
from workers.scaling.adapters import actuators
from workers.scaling.rules import decision as rules
from workers.scaling.rules.actions import SCHEDULE, Action, Decided
from workers.scaling.rules.decision import Decision, Purpose, Reading, Reason, State
from workers.scaling.rules.policy import Policy, Resource
from workers.scaling.store import actions as store
from workers.scaling.store import inputs, looks, proposals, published
from workers.scaling.usecases.readings import readings

log = logs.get("scaling")

#: Where we never acted, the real thing is looked at so often: it may have less than it should.
LOOK_EVERY = timedelta(minutes=10)
#: For how long a run asks real systems, in seconds.
AT_ONCE = 10.0
#: What is not needed for a moment may be needed again: a proposal stays open so long at least.
VALID_FOR = timedelta(minutes=10)


def decide(policy: Policy, *, now: Moment, machine: MachineMoment) -> None:
    """Read the world, decide about every resource, and write what changes with what it was made from."""
    with database.transaction() as db:
        published.publish(db, policy)
    with database.transaction() as db:
        found = readings(db, policy, now=now)
    _measure(found, policy, machine)
    # Real systems are asked between the transactions: one that hangs must hold no row.
    begun, unavailable = clock.stopwatch(), set[Resource]()
    sure = [
        _sure(reading, policy, now, unavailable if clock.stopwatch() - begun < AT_ONCE else set(Resource))
        for reading in found
    ]
    decided = [(reading, rules.decide(reading, policy, now=now)) for reading in sure]
    with database.transaction() as db:
        record(db, decided, policy, now=now)


def _measure(found: Sequence[Reading], policy: Policy, machine: MachineMoment) -> None:
    """Show detectors how many are connected of those that are expected.

    The calendar explains a Saturday's rise, so what is left is what nobody expected.
    """
    shares = {
        one.region: one.load / one.expected
        for one in found
        if one.resource is Resource.INSTANCES
        and one.load is not None
        and one.expected is not None
        and one.expected >= policy.negligible_load
    }
    at = machine.timestamp()
    samples = [
        Sample("realtime_connections_of_expected", (("region", region),), at, share)
        for region, share in shares.items()
    ]
    intake.offer(samples, sent_by="scaling", now=machine)


def _sure(reading: Reading, policy: Policy, now: Moment, unavailable: set[Resource]) -> Reading:
    """Return the reading with what the real thing has, where nothing of ours says so.

    Where that can't be asked (`unavailable` remembers it for the run) it may get more, and loses nothing.
    """
    if not reading.unsure:
        return reading
    matters, seen = rules.decide(reading, policy, now=now).to != reading.has, None
    if not looks.take(reading.region, reading.resource, each=LOOK_EVERY) and not matters:
        return reading
    try:
        if reading.resource not in unavailable:
            seen = actuators.found(reading.region, reading.resource, now=now)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        # A plug-in may raise anything, and stops nobody else.
        unavailable.add(reading.resource)
        log.warning(
            "not looked at",
            region=reading.region,
            resource=reading.resource,
            reason=error_code(error),
            detail=safe_message(error),
        )
    if reading.resource in unavailable:
        return replace(reading, unasked=True)
    # What somebody gave stays until more or less is wanted; what is too little does not.
    return replace(reading, has=seen) if seen is not None and (matters or seen < reading.has) else reading


def record(
    db: Connection, decided: Sequence[tuple[Reading, Decision]], policy: Policy, *, now: Moment
) -> None:
    """Write what changes; ask for approval of what is above the cap."""
    decided = [(rules.sound(reading), decision) for reading, decision in decided]
    for _, decision in decided:
        telemetry.decisions.labels("scaling", decision.reason).inc()
    changing = [(reading, decision) for reading, decision in decided if decision.to != reading.has]
    written = _write(db, [_changed(reading, decision, policy, now) for reading, decision in changing])
    for reading, decision in decided:
        id = written.get((reading.region, reading.resource))
        if id and rules.gives_back(reading, decision, policy):
            store.roll_back(db, id, problem="strain rose when it was gone")
    _propose(
        db, [(reading, decision) for reading, decision in decided if not reading.shadow], written, policy, now
    )


def _changed(reading: Reading, decision: Decision, policy: Policy, now: Moment) -> Decided:
    purpose = Purpose.SHADOW if reading.shadow else Purpose.ACT
    return _row(
        reading,
        decision.to,
        decision.reason,
        purpose,
        reading.expected_previous_id,
        inputs.kept(reading, policy),
        now,
    )


def _row(
    reading: Reading,
    to: int,
    reason: Reason,
    purpose: Purpose,
    expected_previous_id: int,
    made_from: Mapping[str, Any],
    now: Moment,
) -> Decided:
    return Decided(
        reading.region,
        reading.resource,
        reading.has,
        to,
        reason,
        made_from,
        SCHEDULE,
        now,
        expected_previous_id,
        purpose,
    )


def _write(db: Connection, rows: Sequence[Decided]) -> dict[tuple[str, str], int]:
    """Write rows; return the ids of those that are new by region and resource."""
    ids = {(row.region, row.resource): id for row, id in zip(rows, store.record(db, rows), strict=True) if id}
    for row in rows:
        if id := ids.get((row.region, row.resource)):
            log.info(
                "region scaled",
                region=row.region,
                resource=row.resource,
                before=row.before,
                to=row.to,
                reason=row.reason,
                purpose=row.purpose,
                action=id,
            )
    return ids


def _propose(
    db: Connection,
    decided: Sequence[tuple[Reading, Decision]],
    written: Mapping[tuple[str, str], int],
    policy: Policy,
    now: Moment,
) -> None:
    """Keep at most one proposal of a resource open, as high as is needed, and publish new ones."""
    by_resource: dict[tuple[str, str], list[Action]] = {}
    asking: dict[tuple[str, str], tuple[Decided, str]] = {}
    for one in proposals.known(db, rejected_since=now - policy.approval_within):
        by_resource.setdefault((one.region, one.resource), []).append(one)
    for reading, decision in decided:
        key = reading.region, str(reading.resource)
        if not _is_open(db, reading, decision, by_resource.get(key, []), policy, now) and decision.beyond:
            expected_previous_id = written.get(key, reading.expected_previous_id)
            made_from = inputs.kept(reading, policy)
            row = _row(
                reading,
                decision.beyond,
                Reason.ABOVE_CAP,
                Purpose.ABOVE_CAP,
                expected_previous_id,
                made_from,
                now,
            )
            asking[key] = (
                row,
                f"{decision.beyond} are needed, the cap is {policy.bounds(reading.resource).max}",
            )
    for key, id in _write(db, [row for row, _ in asking.values()]).items():
        where = f"{key[1]} of {key[0]}"
        body = f"{where}: {asking[key][1]}. `wedops scaling approve {id} --for 6h`"
        notify.publish(db, Notification(f"scaling/approve/{id}", f"approval wanted: {where}", body, "high"))


def _end_approval(db: Connection, one: Action, now: Moment) -> None:
    # Somebody may have settled it since it was read.
    with suppress(proposals.ProposalUnknown):
        proposals.settle(db, one.id, State.ROLLED_BACK, by=SCHEDULE, at=now, problem="its time has ended")


def _is_open(
    db: Connection, reading: Reading, decision: Decision, ours: Sequence[Action], policy: Policy, now: Moment
) -> bool:
    """Tell whether a proposal for as much as is needed is open.

    End an approval whose time has ended, once what it allowed is given back.
    """
    open_ = False
    for one in ours:
        if one.state is State.REJECTED:
            open_ |= one.to >= decision.beyond
        elif one.state is State.APPROVED:
            ended = one.until is not None and one.until <= now
            open_ |= not ended and one.to >= decision.beyond
            if ended and decision.to <= policy.bounds(reading.resource).max:
                _end_approval(db, one, now)
        elif problem := _outlived(one, decision, policy, now):
            open_ |= not _end_proposal(db, one, problem, now)
        else:
            open_ = True
            proposals.raise_to(db, one.id, decision.beyond, inputs.kept(reading, policy))
    return open_


def _end_proposal(db: Connection, one: Action, problem: str, now: Moment) -> bool:
    """End a proposal; False when somebody has settled it since it was read: the next run sees how."""
    try:
        proposals.settle(db, one.id, State.REJECTED, by=SCHEDULE, at=now, problem=problem)
    except proposals.ProposalUnknown:
        return False
    return True


def _outlived(one: Action, decision: Decision, policy: Policy, now: Moment) -> str:
    if now - one.created_at >= policy.approval_within:
        return "nobody approved it in time"
    return "no longer needed" if not decision.beyond and now - one.created_at >= VALID_FOR else ""
