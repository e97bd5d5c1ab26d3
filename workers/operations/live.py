"""The part of the status that Redis has: queues, jobs, nodes."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from workers.balancing import store as balancing
from workers.connections.rules.modes import place
from workers.connections.store import peaks
from workers.connections.store import registry as connections
from workers.connections.usecases import service
from workers.foundation import circuits, dead_letters, event_log, jobs, maintenance, queues
from workers.foundation.moments import Moment
from workers.operations.verdict import CRITICAL, DEGRADED, Status
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay
from workers.selfwatch.rules import LATENCY_OBJECTIVES


def from_redis(status: Status, now: Moment, at: float) -> None:
    """Fill in what Redis has: the kind of day, queues, jobs, nodes."""
    status.kind_of_day, status.connections = seasons.kind_of_day(now), connections.total()
    status.queues = [asdict(queue) for queue in queues.lengths_and_ages()]
    for queue in status.queues:
        if queue["oldest"] > LATENCY_OBJECTIVES[queue["name"]]:
            code = CRITICAL if queue["name"] == "emergency" else DEGRADED
            status.blame(
                code, f"queue {queue['name']} is {queue['oldest']:.0f} s behind: is its worker running?"
            )
    for what, often in Counter(one for one in event_log.lately(60) if one.startswith("process ")).items():
        if often > 2:
            status.blame(
                DEGRADED,
                f"{what} {often} times in the last minute: see the end of its log (`wedops supervise` says "
                "where)",
            )
    _from_jobs(status, at)
    _from_nodes(status, now)
    status.beats, status.tallies, status.dead_letters = (
        len(jobs.beats(at)),
        jobs.tallies(),
        dead_letters.count(),
    )
    if not status.beats:
        status.blame(
            CRITICAL,
            "no beat runs: start one (`celery -A schedules.beat beat`; `wedops up` and `supervise` do in "
            "some seconds)",
        )


def _from_jobs(status: Status, at: float) -> None:
    for record in jobs.records():
        status.jobs.append(_job(record, at))
        if record.stopped():
            status.blame(CRITICAL, f"job {record.name} fired {record.unanswered} times and did not finish")
        elif record.result not in ("ok", "", maintenance.WAITS):
            status.blame(
                DEGRADED,
                f"job {record.name} ended with {record.result} at its last run: see the log of its worker",
            )
        elif record.overdue(at):
            status.blame(
                DEGRADED, f"job {record.name} was due {at - record.next:.0f} s ago and beat did not fire it"
            )


def _from_nodes(status: Status, now: Moment) -> None:
    status.circuits = [asdict(circuit) for circuit in circuits.known()]
    for circuit in status.circuits:
        if circuit["state"] != "closed":
            status.blame(DEGRADED, f"{circuit['dependency']} fails: its circuit is {circuit['state']}")
    nodes = balancing.nodes()
    status.nodes = len([node for node in nodes if not node.out])
    if nodes and not any(node.usable or not node.url for node in nodes):
        status.blame(CRITICAL, "no realtime node takes anybody: all are out or drained (`wedops nodes`)")
    if not nodes and status.kind_of_day == KindOfDay.WEDDING_DAY:
        status.blame(DEGRADED, "no realtime node has reported: does a gateway run, and reach the registry?")
    status.peak = peaks.needed(now)
    if status.peak:
        status.peak_until = _iso(peaks.planned()[1])
    _from_modes(status)


def _from_modes(status: Status) -> None:
    modes = service.emergency_modes()
    # What has no end was switched on by the version before.
    status.emergency_modes = [
        asdict(one) | {"until": _moment(one.until) if isfinite(one.until) else None} for one in modes
    ]
    status.emergency_mode = bool(modes)
    status.emergency_mode_by = ", ".join(one.owner for one in modes)
    for one in modes:
        kind, _, name = one.scope.partition(":")
        off = f"wedops emergency-mode off --{kind} {name}" if name else "wedops emergency-mode off"
        status.blame(
            DEGRADED,
            f"emergency mode is on{place(one.scope)}, by {one.owner}: guests give way first (`{off}`)",
        )


def _job(record: jobs.Record, at: float) -> dict[str, Any]:
    return asdict(record) | {
        "last": _moment(record.finished),
        "next": _moment(record.next),
        "overdue": round(max(0.0, at - record.next), 3) if record.pace else 0.0,
        "ago": f"{at - record.finished:,.0f} s ago" if record.finished else None,
        "in": f"in {record.next - at:,.0f} s" if record.pace else None,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _moment(epoch: float) -> str | None:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds") if epoch else None
