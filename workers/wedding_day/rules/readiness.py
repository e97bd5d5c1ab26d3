"""Is a wedding ready? A go / no-go list, as launches have one. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from workers.foundation.moments import Moment
from workers.seasons.rules.venues import PROFILES
from workers.weddings.rules.calendar import Policy as Phases
from workers.weddings.rules.calendar import Wedding
from workers.weddings.rules.timeline import TimelineMoment, conflicts

#: How long before a wedding who owns what is red hears of it.
MARKS = {"7d": timedelta(days=7), "24h": timedelta(hours=24), "4h": timedelta(hours=4)}
PLANNER, OPERATIONS = "planner", "operations"


class Item(StrEnum):
    """What is looked at."""

    TIMELINE = "timeline"
    CONTACTS = "contacts"
    SUPPLIERS = "suppliers"
    DATA = "data"
    BACKUPS = "backups"
    WEATHER = "weather"
    ALERTS = "alerts"
    CAPACITY = "capacity"
    FORECAST = "forecast"


class State(StrEnum):
    """What a look at an item says."""

    GO = "go"
    NO_GO = "no_go"
    NOT_DUE = "not_due"


@dataclass(frozen=True)
class Check:
    """An item of the list: its state, why, from when that is (None: from now), and who has to see to it."""

    item: Item
    state: State
    evidence: str
    at: Moment | None
    owner: str


@dataclass(frozen=True)
class Exercise:
    """The last exercise of a wedding: when it was sent, to how many, whom it missed, who may still answer."""

    at: Moment
    recipients: int
    missed: int
    waiting: int


@dataclass(frozen=True)
class Open:
    """An alert that is open, and whether somebody has it."""

    id: int
    kind: str
    since: Moment
    is_owned: bool


@dataclass(frozen=True)
class Facts:
    """What is known of a wedding; of its people those who have an address are `reached`.

    `reached` says when a message arrived there last, None: never.

    `alerts` are those of the wedding and its region; `too_full` and `unfit` that of its region's capacity
    and of its forecast.
    """

    moments: Sequence[TimelineMoment]
    reached: Mapping[str, Moment | None]
    exercise: Exercise | None
    rehearses: bool
    warmed_at: Moment | None
    #: Of the couple and who else is critical, (connected, with a backup that answers) by type, and when that
    #: was seen; None while the wedding is not live.
    backups: tuple[Mapping[str, tuple[int, int]], Moment] | None
    #: Of a wedding in the open air whose place is known: whether bad weather is forecast, why, and when that
    #: was; None while nothing is known.
    weather: tuple[bool, str, Moment] | None
    alerts: Sequence[Open]
    too_full: Open | None
    unfit: Open | None


def checks(
    wedding: Wedding, known: Facts, phases: Phases, warm_before: timedelta, *, now: Moment
) -> list[Check]:
    """Return the list of a wedding."""
    return [
        *_timeline(known.moments),
        _contacts(known.reached),
        _suppliers(known),
        _data(known.warmed_at, Moment(wedding.starts_at - phases.setup_before - warm_before), now),
        _backups(known.backups),
        *_weather(wedding, known.weather),
        *_alerts(known.alerts),
        _open(Item.CAPACITY, known.too_full, "no day ahead needs more than there may be"),
        _open(Item.FORECAST, known.unfit, "what was forecast came true often enough"),
    ]


def is_ready(found: Sequence[Check]) -> bool:
    """Tell whether nothing is red."""
    return all(one.state is not State.NO_GO for one in found)


def red(found: Sequence[Check]) -> Mapping[str, list[Check]]:
    """Return what is red, by owner."""
    by_owner: dict[str, list[Check]] = {}
    for one in found:
        if one.state is State.NO_GO:
            by_owner.setdefault(one.owner, []).append(one)
    return by_owner


def _timeline(moments: Sequence[TimelineMoment]) -> Iterator[Check]:
    problems = list(_problems(moments))
    critical = sum(one.critical for one in moments)
    said = "; ".join(problems[:3]) or f"{len(moments)} moments, {critical} critical"
    yield Check(Item.TIMELINE, State.NO_GO if problems else State.GO, said, None, PLANNER)


def _problems(moments: Sequence[TimelineMoment]) -> Iterator[str]:
    if not moments:
        yield "there is no timeline"
        return
    yield from (
        f"{one.id} is critical, and nobody owns it" for one in moments if one.critical and not one.owner
    )
    yield from conflicts(moments)


def _contacts(reached: Mapping[str, Moment | None]) -> Check:
    if not reached:
        said = "neither planner nor couple nor contacts have an address"
        return Check(Item.CONTACTS, State.NO_GO, said, None, PLANNER)
    if untested := sorted(who for who, at in reached.items() if at is None):
        said = f"no message arrived at {', '.join(untested)} yet; `wedops contacts test` sends one"
        return Check(Item.CONTACTS, State.NO_GO, said, None, PLANNER)
    oldest = min(at for at in reached.values() if at is not None)
    said = f"messages arrived at {', '.join(sorted(reached))}"
    return Check(Item.CONTACTS, State.GO, said, oldest, PLANNER)


def _suppliers(known: Facts) -> Check:
    found = known.exercise
    if found is None:
        said = "no exercise was sent yet" if known.rehearses else "exercises are off (DELIVERY_REHEARSE)"
        return Check(Item.SUPPLIERS, State.NOT_DUE, said, None, PLANNER)
    if found.missed:
        said = f"the exercise missed {found.missed} of {found.recipients}"
        return Check(Item.SUPPLIERS, State.NO_GO, said, found.at, PLANNER)
    if found.waiting:
        said = f"{found.waiting} of {found.recipients} have not answered the exercise yet"
        return Check(Item.SUPPLIERS, State.NOT_DUE, said, found.at, PLANNER)
    said = f"the exercise reached all of {found.recipients}"
    return Check(Item.SUPPLIERS, State.GO, said, found.at, PLANNER)


def _data(warmed_at: Moment | None, due_at: Moment, now: Moment) -> Check:
    if warmed_at is not None and warmed_at >= due_at - timedelta(minutes=10):
        return Check(Item.DATA, State.GO, "its data is warm", warmed_at, OPERATIONS)
    if now < due_at + timedelta(minutes=10):
        return Check(Item.DATA, State.NOT_DUE, "it is warmed up before set-up", None, OPERATIONS)
    return Check(Item.DATA, State.NO_GO, "its data was not warmed up", warmed_at, OPERATIONS)


def _backups(known: tuple[Mapping[str, tuple[int, int]], Moment] | None) -> Check:
    if known is None:
        said = "it is looked at within some minutes once the wedding is live"
        return Check(Item.BACKUPS, State.NOT_DUE, said, None, OPERATIONS)
    seen, at = known
    lacking = [f"{kind} {c - b} of {c}" for kind, (c, b) in sorted(seen.items()) if b < c]
    if lacking:
        said = f"without a backup connection: {', '.join(lacking)}"
        return Check(Item.BACKUPS, State.NO_GO, said, at, OPERATIONS)
    many = sum(connected for connected, _ in seen.values())
    if not many:
        return Check(Item.BACKUPS, State.NOT_DUE, "nobody who needs one is connected", at, OPERATIONS)
    return Check(Item.BACKUPS, State.GO, f"all {many} have a backup that answers", at, OPERATIONS)


def _weather(wedding: Wedding, known: tuple[bool, str, Moment] | None) -> Iterator[Check]:
    if not PROFILES[wedding.venue_type].is_open_air:
        return
    if known is None:
        said = "it is not forecast: far ahead, no place in the calendar, or WEATHER_URL is not set"
        yield Check(Item.WEATHER, State.NOT_DUE, said, None, PLANNER)
        return
    is_risky, why, at = known
    yield Check(Item.WEATHER, State.NO_GO if is_risky else State.GO, why or "good", at, PLANNER)


def _alerts(alerts: Sequence[Open]) -> Iterator[Check]:
    unowned = [one for one in alerts if not one.is_owned]
    if not unowned:
        said = f"{len(alerts)} open, all owned" if alerts else "none is open"
        yield Check(Item.ALERTS, State.GO, said, None, OPERATIONS)
    for one in unowned[:3]:
        yield Check(
            Item.ALERTS, State.NO_GO, f"nobody has alert {one.id} ({one.kind})", one.since, OPERATIONS
        )


def _open(item: Item, found: Open | None, otherwise: str) -> Check:
    if found is None:
        return Check(item, State.GO, otherwise, None, OPERATIONS)
    return Check(item, State.NO_GO, f"alert {found.id} ({found.kind}) is open", found.since, OPERATIONS)
