"""When nothing may be changed: around weddings. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from workers.foundation.moments import Moment


class Change(StrEnum):
    """What somebody wants to change: programs, settings, or the form of what is stored."""

    DEPLOY = "deploy"
    SETTINGS = "settings"
    MIGRATION = "migration"


class Reason(StrEnum):
    """Why the gate is as it is."""

    NO_WEDDING_NEAR = "no_wedding_near"
    TOO_SHORT = "too_short"
    WEDDING_NEAR = "wedding_near"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True)
class Policy:
    """How long before a wedding the gate closes for each change, and how long after it it opens.

    Windows are looked for `ahead`.
    """

    prefix: ClassVar = "GATE_"

    deploy_before: timedelta = timedelta(hours=4)
    settings_before: timedelta = timedelta(hours=2)
    migration_before: timedelta = timedelta(hours=8)
    after: timedelta = timedelta(hours=1)
    ahead: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        """Refuse a gate that never closes, or looks nowhere."""
        for name in ("deploy_before", "settings_before", "migration_before"):
            if getattr(self, name) < timedelta(0):
                raise ValueError(f"{name} must be 0s or more")
        if not timedelta(0) <= self.after <= timedelta(days=1):
            raise ValueError("after must be from 0s to 1d")
        if not timedelta(days=1) <= self.ahead <= timedelta(days=60):
            raise ValueError("ahead must be from 1d to 60d")

    def before(self, change: Change) -> timedelta:
        """Return how long before a wedding the gate closes for a change."""
        found: timedelta = getattr(self, f"{change}_before")
        return found


class Span(NamedTuple):
    """A wedding that takes place: from when until when, and what its wall clock shows."""

    starts_at: Moment
    ends_at: Moment
    zone: str
    id: str


class Override(NamedTuple):
    """Who opened the gate, for what, until when and why; an empty region is all."""

    change: Change
    region: str
    until: Moment
    by: str
    reason: str


class Period(NamedTuple):
    """When the gate is closed, [since, until): for how many weddings, and for which the longest."""

    since: Moment
    until: Moment
    weddings: int
    last: Span


class Window(NamedTuple):
    """When the gate is open, [since, until); None: as far as it was looked."""

    since: Moment
    until: Moment | None


@dataclass(frozen=True)
class Verdict:
    """Whether a change may be made now, why, and until when that holds; None: as far as it was looked.

    `weddings` near close it, `last` of them for longest. `window` is the next one that is as long as asked
    for; None when there is none. `override` is who opened it though weddings are near.
    """

    change: Change
    reason: Reason
    until: Moment | None
    weddings: int
    last: Span | None
    window: Window | None
    override: Override | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the change may be made."""
        return self.reason in (Reason.NO_WEDDING_NEAR, Reason.OVERRIDDEN)


def closed(spans: Iterable[Span], before: timedelta, after: timedelta) -> list[Period]:
    """Return when the gate is closed, in the order of time; periods that meet are one."""
    found: list[Period] = []
    for span in sorted(spans):
        since, until = Moment(span.starts_at - before), Moment(span.ends_at + after)
        if found and since <= found[-1].until:
            own = found.pop()
            last = span if until > own.until else own.last
            found.append(Period(own.since, max(own.until, until), own.weddings + 1, last))
        else:
            found.append(Period(since, until, 1, span))
    return found


def decide(
    change: Change,
    spans: Iterable[Span],
    policy: Policy,
    *,
    now: Moment,
    lasts: timedelta,
    override: Override | None = None,
) -> Verdict:
    """Return whether a change may be made at `now`, and when it may be made that `lasts` so long."""
    periods = closed(spans, policy.before(change), policy.after)
    window = _window(periods, now, lasts, Moment(now + policy.ahead))
    here = next((one for one in periods if one.since <= now < one.until), None)
    near = here or next((one for one in periods if one.since > now), None)
    if here is None and (near is None or near.since - now >= lasts):
        return Verdict(change, Reason.NO_WEDDING_NEAR, near and near.since, 0, None, window)
    weddings, last = (near.weddings, near.last) if near else (0, None)
    if override is not None and override.until > now:
        return Verdict(change, Reason.OVERRIDDEN, override.until, weddings, last, window, override)
    reason = Reason.WEDDING_NEAR if here else Reason.TOO_SHORT
    return Verdict(change, reason, near and near.until, weddings, last, window)


def _window(periods: Sequence[Period], now: Moment, lasts: timedelta, end: Moment) -> Window | None:
    """Return the first time from `now` on that is open for so long."""
    since = now
    for one in periods:
        if one.since - since >= lasts:
            return Window(since, one.since)
        since = max(since, one.until)
    return Window(since, None) if since + lasts <= end else None
