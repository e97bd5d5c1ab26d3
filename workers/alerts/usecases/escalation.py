"""Who is notified of which alert now.

Of muted ones nobody, of the rest step by step, a group in one message.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from workers.alerts.rules import escalation as rules
from workers.alerts.rules import muting
from workers.alerts.rules.escalation import Due
from workers.alerts.rules.kinds import Severity, Tempo
from workers.alerts.rules.lifecycle import AlertView, Policy, Reason, State
from workers.alerts.rules.muting import Around
from workers.alerts.store import alerts as store
from workers.alerts.store import escalation, silences
from workers.alerts.store.escalation import LogEntry
from workers.alerts.usecases import surroundings
from workers.foundation import redis, settings
from workers.foundation.moments import Moment
from workers.notify import formats as messages
from workers.notify import usecases as notify
from workers.notify.rules import CONTACTS, Notification, Target
from workers.outbox import store as outbox
from workers.outbox.rules import Message
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay

END = "end"


def escalate(db: Connection, policy: Policy, *, now: Moment) -> int:
    """Bring everybody up to date about every alert.

    Return how many messages were written. Runs any number of times.
    """
    escalation.correct_clocks(db, at=now)
    alerts = store.hold(db)
    around = surroundings.of(db, alerts, now=now)
    ranks = {
        one.id: (around[one.id].connected_users, muting.rank(one.severity, around[one.id])) for one in alerts
    }
    store.weigh(db, ranks)
    alerts = [replace(one, connected_users=ranks[one.id][0], rank=ranks[one.id][1]) for one in alerts]
    alerts = _awake(db, _muted(db, alerts, around, policy, now), now)
    due = _due(db, alerts, around, policy, now)
    published = _publish(db, {alert.id: alert for alert in alerts}, due, around, now)
    outbox.withdraw(db, escalation.stale_messages(db, outbox.waiting(db, messages.KIND)))
    return published + _publish_ends(db, now)


def _muted(
    db: Connection, alerts: Sequence[AlertView], around: Mapping[int, Around], policy: Policy, now: Moment
) -> list[AlertView]:
    muted = muting.mute(alerts, around, silences.active(db, at=now), now=now) | muting.switched_off(
        alerts, policy
    )
    result, newly_muted = [], []
    for alert in alerts:
        reason, text = muted.get(alert.id, (Reason.UNMUTED, ""))
        if text == alert.muted:
            result.append(alert)
        elif text:
            newly_muted.append((alert, reason, text))
            result.append(replace(alert, muted=text))
        else:
            result.append(_restart(db, alert, reason, now, round=alert.round))
    store.mute(db, newly_muted, at=now)
    return result


def _awake(db: Connection, alerts: Sequence[AlertView], now: Moment) -> list[AlertView]:
    expired = [
        one for one in alerts if one.state is State.FIRING and one.snoozed_until and one.snoozed_until <= now
    ]
    awake = {one.id: _restart(db, one, Reason.SNOOZE_EXPIRED, now, round=one.round + 1) for one in expired}
    return [awake.get(alert.id, alert) for alert in alerts]


def _restart(db: Connection, alert: AlertView, reason: Reason, now: Moment, *, round: int) -> AlertView:
    # A snooze outlasts an inhibition.
    snoozed = alert.snoozed_until if alert.snoozed_until and alert.snoozed_until > now else None
    new: dict[str, Any] = {
        "muted": "",
        "snoozed_until": snoozed,
        "escalates_from": now,
        "notified_at": None,
        "round": round,
    }
    store.change(db, alert, reason, new, at=now)
    return replace(alert, **new)


def _due(
    db: Connection, alerts: Sequence[AlertView], around: Mapping[int, Around], policy: Policy, now: Moment
) -> list[Due]:
    paths, last_published, silent = (
        escalation.current(db),
        escalation.last_published(db),
        defaultdict[str, list[AlertView]](list),
    )
    found = {}
    for alert in alerts:
        tempo = _tempo(around[alert.id], policy, now)
        if due_now := rules.due(alert, rules.path_of(alert, paths), tempo, policy, now=now):
            found[alert.id] = due_now
            if alert.notified_at is None:
                silent[alert.group].append(alert)
    speaking = {
        name
        for name, group in silent.items()
        if rules.may_publish(group, last_published.get(name), policy, now=now)
    }
    for name in silent.keys() - speaking:
        for alert in silent[name]:
            del found[alert.id]
    escalation.note_published(db, speaking, {alert.group for alert in alerts}, at=now)
    return list(chain.from_iterable(found.values()))


def tempos(db: Connection, alerts: Sequence[AlertView], *, now: Moment) -> dict[int, Tempo]:
    """Return how fast it must go with each alert, by id."""
    policy = settings.read(Policy)
    return {id: _tempo(around, policy, now) for id, around in surroundings.of(db, alerts, now=now).items()}


def _tempo(around: Around, policy: Policy, now: Moment) -> Tempo:
    if not policy.wedding_tempo:
        return Tempo.ORDINARY
    if around.running:
        return Tempo.RUNNING
    try:
        return Tempo.WEDDING_DAY if seasons.kind_of_day(now) is KindOfDay.WEDDING_DAY else Tempo.ORDINARY
    except redis.UNREACHABLE:
        # Redis being unavailable is one of the things that people are notified of here.
        return Tempo.ORDINARY


def _publish(
    db: Connection,
    alerts: Mapping[int, AlertView],
    due: Sequence[Due],
    around: Mapping[int, Around],
    now: Moment,
) -> int:
    people = {one: (one.recipient, _own_wedding(one, alerts)) for one in due}
    reached = notify.targets_of(db, set(people.values()))
    found = {
        LogEntry(one.alert_id, one.step, to.recipient, to.wedding_id, to.channel)
        for one in due
        for to in reached[people[one]]
    }
    published = _write(db, alerts, found - escalation.published(db, alerts), around, now)
    escalation.mark(db, {one_due.alert_id for one_due in due}, at=now)
    return published


def _own_wedding(one: Due, alerts: Mapping[int, AlertView]) -> str:
    """Return the wedding whose own people are meant; empty for who is there for all."""
    return alerts[one.alert_id].wedding_id if one.recipient == CONTACTS else ""


def _publish_ends(db: Connection, now: Moment) -> int:
    """Notify whoever was notified that an alert fired of its end."""
    ended = {alert.id: alert for alert in store.ended_unpublished(db)}
    published = {replace(one, step=END) for one in escalation.published(db, ended)}
    escalation.mark(db, ended, at=now, column="end_notified_at")
    return _write(db, ended, published, {}, now)


def _write(
    db: Connection,
    alerts: Mapping[int, AlertView],
    new: Iterable[LogEntry],
    around: Mapping[int, Around],
    now: Moment,
) -> int:
    """Write notices, and one message for each group, person and channel among them."""
    bundles: dict[tuple[str, str, str, str], list[LogEntry]] = defaultdict(list)
    for one in sorted(new):
        bundles[alerts[one.alert_id].group, one.recipient, one.wedding_id, one.channel].append(one)
    written, noted = list[Message](), list[tuple[LogEntry, str]]()
    for (group, recipient, wedding_id, channel), bundle in bundles.items():
        key = f"alert/{bundle[0].alert_id}/{bundle[0].step}/{recipient}/{channel}"
        message = _bundled(
            key, group, [alerts[alert_id] for alert_id in sorted({one.alert_id for one in bundle})], around
        )
        written.append(messages.message(message, Target(recipient, wedding_id, channel)))
        noted += [(one, key) for one in bundle]
    outbox.write(db, written)
    escalation.note(db, noted, at=now)
    return len(bundles)


def _bundled(key: str, group: str, alerts: list[AlertView], around: Mapping[int, Around]) -> Notification:
    """Return one message about a group's alerts, those that matter most first.

    What is wrong, who is affected, what to do.
    """
    first, *more = sorted(alerts, key=lambda alert: -alert.rank)
    severity = next(one for one in Severity if one in {alert.severity for alert in alerts})
    title = f"{severity} {first.state}: {first.kind} {first.subject}" + (
        f" and {len(more)} more in {group}" if more else ""
    )
    lines = [
        "; ".join(filter(None, [f"alert {one.id} {one.line}", around.get(one.id, Around()).summary]))
        + f". See {surroundings.runbook(one.kind)}"
        for one in (first, *more)
    ]
    take = "" if first.state is State.RESOLVED else f"\nTake it: wedops alerts ack {first.id}"
    about = {one.wedding_id for one in alerts}
    wedding_id = about.pop() if len(about) == 1 else ""
    return Notification(key, title, "\n".join(lines[:10]) + take, severity, wedding_id)
