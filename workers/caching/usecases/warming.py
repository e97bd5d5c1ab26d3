"""Warming up weddings: what their people will ask for, before they come."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy import Connection

from workers.caching import telemetry
from workers.caching.formats.commands import WarmUp
from workers.caching.rules import warming as rules
from workers.caching.rules.kinds import Policy
from workers.caching.rules.warming import ClassOutcome
from workers.caching.store import batches, pending, results, server, watches
from workers.caching.store.batches import Wanted, Warmed
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import layers
from workers.caching.store.local import Key
from workers.caching.store.pending import Pending
from workers.caching.usecases import sources
from workers.foundation import clock, database, logs, settings
from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment, Moment
from workers.weddings.rules.calendar import Wedding
from workers.weddings.store import weddings

log = logs.get("caching")

#: A run ends after so many seconds; the next one goes on.
ENOUGH = 15.0
#: What past weddings' people asked for is learned from so many.
PAST = 500
#: In the key of a warm-up for a season.
SEASON = "/season/"
#: Whose people are there, or come soon, when the server that was warm is lost.
SOON = timedelta(hours=2)


@dataclass
class Pace:
    """How fast a run warms, by how long its batches take and what users' reads had to load meanwhile."""

    policy: Policy
    usual: float | None = None
    loads: int = field(init=False)
    since: float = field(default_factory=clock.stopwatch)
    pause: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the policy's pause."""
        self.loads = _loads()
        self.pause = self.policy.warm_pause.total_seconds()

    def rest(self, took: float) -> None:
        """Pause after a batch that took so many seconds."""
        usual = took if self.usual is None else self.usual
        self.pause = rules.next_pause(self.pause, took=took, usual=usual)
        self.usual = 0.8 * usual + 0.2 * took
        threading.Event().wait(self.pause)

    def is_users_turn(self) -> bool:
        """Tell whether users' reads have so much to load that a warm-up has to wait."""
        passed = clock.stopwatch() - self.since
        if passed < 1.0:
            return False
        before, self.loads, self.since = self.loads, _loads(), clock.stopwatch()
        return (self.loads - before) / passed > self.policy.warm_yield


def _loads() -> int:
    return sum(many for (layer, _), many in server.totals().items() if layer == "none")


def warm_up(db: Connection, command: WarmUp, key: str, *, now: Moment) -> None:
    """Have a wedding warmed up as soon as users' traffic leaves room for it. Raises WeddingUnknown."""
    wedding = weddings.require(db, command.wedding_id)
    request({key: (wedding.id, max(wedding.starts_at, now))}, "asked")


def request(wanted: Mapping[str, tuple[str, datetime]], why: str) -> None:
    """Have weddings warmed up soon: by key (wedding, until when its people come), the most urgent first."""
    pending.add(Pending(key, id, why, until.timestamp()) for key, (id, until) in wanted.items())


def run(*, now: Moment, machine: MachineMoment) -> int:
    """Warm up what waits, as fast as users' traffic leaves room for; return how many weddings.

    What is not done in time, or fails, still waits.
    """
    if pending.is_new_server():
        _request_lost(now)
    pace, begun, tried, count = Pace(settings.read(Policy)), clock.stopwatch(), 0, 0
    while clock.stopwatch() - begun < ENOUGH and (due := pending.first(pace.policy.warm_batch, after=tried)):
        if pace.is_users_turn():
            log.info("warm-up waits", reason="users_traffic", waiting=pending.count())
            break
        batch_begun = clock.stopwatch()
        wait = _batch(due, now=now, machine=machine)
        pending.done([one for one in due if one.wedding_id not in wait])
        tried, count = tried + len(wait), count + len(due) - len(wait)
        pace.rest(clock.stopwatch() - batch_begun)
    return count


def _batch(due: Sequence[Pending], *, now: Moment, machine: MachineMoment) -> set[str]:
    """Warm up weddings; return those that still wait, as nothing of them could be written.

    One that cannot be warmed up is left out, so that it keeps no other waiting: its people load it.
    """
    try:
        with database.transaction() as db:
            plans = _plans(db, due, now)
        warmed = _warm(plans, now)
        wait = {plan.wedding_id for plan in plans if plan.until > now.timestamp()} & warmed.nothing
        with database.transaction() as db:
            done = [plan for plan in plans if plan.wedding_id not in wait]
            _remember(db, done, warmed, now=now, machine=machine)
    except (ExpectedError, RedisError):
        raise  # Unavailable: it waits.
    except Exception as error:
        if len(due) == 1:
            log.exception("not warmed up", wedding_id=due[0].wedding_id, reason=type(error).__name__)
            return set()
        return {id for one in due for id in _batch([one], now=now, machine=machine)}
    return wait


def _request_lost(now: Moment) -> None:
    """Have warmed up again what was warm on a server that is gone."""
    with database.transaction() as db:
        near = weddings.between(db, now, now + SOON)
    log.warning("cache is warmed up again", weddings=len(near), reason="server_lost")
    wanted = {f"lost/{one.id}/{now:%Y%m%dT%H%M%S}": (one.id, max(one.starts_at, now)) for one in near}
    request(wanted, "server_lost")


def _plans(db: Connection, due: Sequence[Pending], now: Moment) -> "list[_Plan]":
    found = {one.id: one for one in weddings.by_id(db, {one.wedding_id for one in due})}
    plans = [_Plan.of(one, found[one.wedding_id], now) for one in due if one.wedding_id in found]
    learned = rules.shares(_past(db))
    for plan in plans:
        plan.choose(learned)
    return plans


def _warm(plans: "Sequence[_Plan]", now: Moment) -> Warmed:
    return batches.warm(layers(), [one for plan in plans for one in plan.wanted], partial(_load, now))


def _load(now: Moment, names: Sequence[Key]) -> Mapping[Key, Loaded]:
    with database.transaction() as db:
        return sources.load_all(db, names, now=now)


@dataclass
class _Plan:
    """What is to be warm of a wedding, by class, and for how many seconds."""

    pending: Pending
    classes: Mapping[str, list[Key]]
    lives: float
    wanted: list[Wanted] = field(default_factory=list)

    @property
    def wedding_id(self) -> str:
        """Return whose data it is."""
        return self.pending.wedding_id

    @property
    def until(self) -> float:
        """Return until when its people come, epoch seconds of the world."""
        return self.pending.until

    @property
    def key(self) -> str:
        """Return the key of its result."""
        return f"{results.WARM_UP}/{self.pending.key}"

    @classmethod
    def of(cls, one: Pending, wedding: Wedding, now: Moment) -> "_Plan":
        policy = settings.read(Policy)
        ahead = timedelta(seconds=max(0.0, one.until - now.timestamp())) + policy.watch_first
        lives = min(policy.warm_ttl_max, clock.of_the_machine(ahead))
        return cls(one, sources.classes_of(wedding, wedding.supplier_ids), lives.total_seconds())

    def choose(self, learned: Mapping[str, float]) -> None:
        """Leave out what past weddings' people did not ask for."""
        for name, own in self.classes.items():
            if rules.is_worth(name, learned):
                self.wanted += [Wanted(key, self.wedding_id, self.lives) for key in own]


def _remember(
    db: Connection, plans: Sequence[_Plan], warmed: Warmed, *, now: Moment, machine: MachineMoment
) -> None:
    """Write down what was loaded, and watch what is read of all that is warm.

    A wedding that is watched already is watched on under the new key, unless nothing had to be loaded. One
    whose warm-up died on the way is not watched: it is now.
    """
    loaded, stay = _by_wedding(warmed.loaded), _by_wedding(warmed.stay)
    watched = watches.keys_of(loaded.keys() | stay.keys())
    results.record(db, [_result(plan, loaded.get(plan.wedding_id, set())) for plan in plans], at=now)
    opened = []
    for plan in plans:
        fresh, old = loaded.get(plan.wedding_id, set()), watched.get(plan.wedding_id)
        telemetry.warmed.labels(plan.pending.why).inc(len(fresh))
        warm = fresh | stay.get(plan.wedding_id, set())
        if fresh or (warm and not old):
            opened.append(_watch(plan, warm))
        if fresh and old and old != plan.key:
            results.add(db, old, {"continued_by": plan.key})
    window = clock.of_the_machine(settings.read(Policy).watch_first) / timedelta(milliseconds=1)
    watches.open_all(opened, window_ms=int(window), at_ms=int(machine.timestamp() * 1000))


def _by_wedding(entries: Iterable[Wanted]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in entries:
        found.setdefault(one.wedding_id, set()).add(one.name)
    return found


def _result(plan: _Plan, loaded: set[str]) -> results.Result:
    detail = {"entries": len(loaded), "of": len(plan.wanted), "why": plan.pending.why}
    return results.Result(plan.key, results.WARM_UP, plan.wedding_id, detail)


def _watch(plan: _Plan, names: set[str]) -> watches.Watch:
    counts = {name: len(own) for name, own in plan.classes.items()}
    warm = dict.fromkeys(counts, 0)
    for name in names:
        warm[watches.class_of(name)] += 1
    classes = {name: ClassOutcome(of=counts[name], warmed=warm[name]) for name in counts}
    return watches.Watch(plan.wedding_id, plan.key, int(plan.lives * 1000), classes)


def _past(db: Connection) -> Iterator[Mapping[str, ClassOutcome]]:
    for row in results.evaluated(db, limit=PAST):
        yield {name: ClassOutcome(**own) for name, own in row["detail"]["classes"].items()}


def evaluate(db: Connection, *, machine: MachineMoment) -> dict[str, rules.Outcome]:
    """Write down what warm-ups were worth whose entries have expired.

    Return those that were for people who come, by wedding: a season's are for who may come.
    """
    over = watches.due(int(machine.timestamp() * 1000), limit=PAST)
    found = watches.found(over)
    for key, outcome in found.values():
        results.add(db, key, _worth(outcome))
    watches.close(over)
    _publish([outcome for _, outcome in found.values()])
    return {wedding_id: outcome for wedding_id, (key, outcome) in found.items() if SEASON not in key}


def _worth(outcome: rules.Outcome) -> dict[str, object]:
    classes = {name: vars(one) for name, one in outcome.classes.items()}
    return {"precision": outcome.precision, "recall": outcome.recall, "classes": classes}


def _publish(outcomes: Sequence[rules.Outcome]) -> None:
    for gauge, values in (
        (telemetry.precision, [one.precision for one in outcomes]),
        (telemetry.recall, [one.recall for one in outcomes]),
    ):
        known = [value for value in values if value is not None]
        if known:
            gauge.set(sum(known) / len(known))
