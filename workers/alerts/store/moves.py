"""What becomes of alerts: they open, move and resolve."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Text, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from workers.alerts.rules.lifecycle import Change, Reason, State
from workers.alerts.store.alerts import alerts, among, remember
from workers.foundation.moments import Moment
from workers.foundation.rows import insert_once

_MOVE = text(
    """
    WITH moved AS (
        SELECT * FROM unnest(cast(:ids AS bigint[]), cast(:states AS text[]), cast(:severities AS text[]),
            cast(:values AS float8[]), cast(:details AS text[]), cast(:restarts AS boolean[]))
            AS moved (id, state, severity, value, detail, restarts))
    UPDATE performance_alerts a SET
        state = moved.state,
        severity = coalesce(moved.severity, a.severity),
        value = coalesce(moved.value, a.value),
        detail = coalesce(moved.detail, a.detail),
        seen_at = CASE WHEN moved.severity IS NULL THEN a.seen_at ELSE :at END,
        calm_since = CASE WHEN moved.severity IS NULL THEN a.calm_since END,
        worst = CASE WHEN moved.restarts THEN coalesce(moved.severity, a.worst) ELSE a.worst END,
        fired_at = CASE WHEN moved.state = 'firing' THEN coalesce(a.fired_at, :at) ELSE a.fired_at END,
        resolved_at = CASE WHEN moved.state = 'resolved' THEN cast(:at AS timestamptz) END,
        escalates_from = CASE WHEN moved.restarts THEN :at ELSE a.escalates_from END,
        round = a.round + CASE WHEN moved.restarts AND a.escalates_from IS NOT NULL THEN 1 ELSE 0 END,
        notified_at = CASE WHEN moved.restarts THEN NULL ELSE a.notified_at END,
        snoozed_until = CASE WHEN moved.restarts THEN NULL ELSE a.snoozed_until END
    FROM moved WHERE a.id = moved.id
    """
)


def apply_changes(
    db: Connection, changes: Iterable[Change], *, at: Moment, flapping_within: timedelta
) -> list[Change]:
    """Write the changes; return those that changed an alert's state or severity."""
    changes = list(changes)
    opened = _open(db, [change for change in changes if change.alert_id is None], at, flapping_within)
    moves = [change for change in changes if change.alert_id is not None]
    known = select(alerts.c.id, alerts.c.state, alerts.c.severity).where(
        among([change.alert_id for change in moves])
    )
    before = {row.id: (row.state, row.severity) for row in db.execute(known)}
    changed = [change for change in moves if before.get(change.alert_id or 0) != _after(change, before)]
    _move(db, moves, before, at)
    remember(
        db, [(change.alert_id or 0, *_after(change, before), change.reason) for change in changed], at=at
    )
    return [*opened, *changed]


def _after(change: Change, before: Mapping[int, tuple[str, str]]) -> tuple[str, str]:
    known = before.get(change.alert_id or 0, ("", ""))
    return change.state, change.breach.severity if change.breach else known[1]


def _open(db: Connection, changes: Sequence[Change], at: Moment, flapping_within: timedelta) -> list[Change]:
    breaches = [(change, change.breach) for change in changes if change.breach]
    flaps = _flaps(db, [breach.fingerprint for _, breach in breaches], since=at - flapping_within)
    rows: dict[str, dict[str, Any]] = {}
    for change, breach in breaches:
        fired_at = at if change.state is State.FIRING else None
        state = {
            "state": change.state,
            "since": at,
            "seen_at": at,
            "fired_at": fired_at,
            "escalates_from": fired_at,
            "worst": breach.severity,
        }
        facts = vars(breach) | {"fingerprint": breach.fingerprint, "flaps": flaps.get(breach.fingerprint, 0)}
        rows.setdefault(breach.fingerprint, facts | state)
    ids = set(insert_once(db, alerts, list(rows.values())))
    mine = {
        row.fingerprint: row.id
        for row in db.execute(select(alerts.c.id, alerts.c.fingerprint).where(among(ids)))
    }
    opened = {one.fingerprint: change for change, one in breaches if one.fingerprint in mine}
    new = [
        (mine[name], change.state, rows[name]["severity"], change.reason) for name, change in opened.items()
    ]
    remember(db, new, at=at)
    return list(opened.values())


def _flaps(db: Connection, fingerprints: list[str], *, since: datetime) -> dict[str, int]:
    fired = alerts.c.fired_at.is_not(None) & (alerts.c.resolved_at >= since)
    among = alerts.c.fingerprint == any_(literal(fingerprints, ARRAY(Text)))
    rows = db.execute(
        select(alerts.c.fingerprint, func.count()).where(among, fired).group_by(alerts.c.fingerprint)
    )
    return {row[0]: row[1] for row in rows}


def _restarts(change: Change, before: Mapping[int, tuple[str, str]]) -> bool:
    was_pending = before.get(change.alert_id or 0, ("", ""))[0] == State.PENDING
    return change.state is State.FIRING and (change.reason is Reason.WORSE or was_pending)


def _move(db: Connection, moves: Sequence[Change], before: Mapping[int, tuple[str, str]], at: Moment) -> None:
    if not moves:
        return
    breaches = [change.breach for change in moves]
    given = {
        "ids": [change.alert_id for change in moves],
        "states": [change.state for change in moves],
        "severities": [breach and breach.severity for breach in breaches],
        "values": [float(breach.value) if breach else None for breach in breaches],
        "details": [breach and breach.detail for breach in breaches],
        # What begins to fire, and what got worse, is published from the first step on.
        "restarts": [_restarts(change, before) for change in moves],
    }
    db.execute(_MOVE, given | {"at": at})
