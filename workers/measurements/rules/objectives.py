"""Objectives: what people may expect, in one table; how fast their error budgets burn. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Objective:
    """Of the events that a series counts (a sample each), `target` must be good.

    A good one has a value from `min` to `max`. A sample labelled outcome=failed is bad whatever its value.
    `alert` is the kind of alert it burns into.
    """

    name: str
    series: str
    target: float
    alert: str
    max: float = float("inf")
    min: float = float("-inf")

    @property
    def bad(self) -> str:
        """Return in words what a bad event is."""
        return f"{DOING[self.name]} " + (
            "failed" if self.max == float("inf") else f"took longer than {self.max:g} s"
        )


# fmt: off
OBJECTIVES = (
    #         name                 series                       target  alert            good is
    Objective("realtime_update",   "realtime_update_seconds",   0.999,  "error_budget",  max=0.5),
    Objective("emergency_change",  "emergency_change_seconds",  0.999,  "timeline_sync", max=0.2),
    Objective("timeline_sync",     "timeline_sync_seconds",     0.999,  "timeline_sync", max=0.1),
    Objective("guest_list",        "guest_list_seconds",        0.999,  "guest_list",    max=1.0),
    Objective("photo_upload",      "photo_upload_seconds",      0.999,  "photo_upload",  max=5.0),
    Objective("vendor_notice",     "vendor_notice_seconds",     0.999,  "error_budget",  max=30.0),
    Objective("critical_operation", "critical_operation_ok",    0.999,  "error_budget",  min=1.0),
    Objective("availability",      "probe_ok",                  0.999,  "availability",  min=1.0),
)
# fmt: on
#: What people do, whose events these are.
DOING = {
    "realtime_update": "realtime updates",
    "emergency_change": "emergency changes",
    "timeline_sync": "timeline changes",
    "guest_list": "loads of the guest list",
    "photo_upload": "photo uploads",
    "vendor_notice": "notices to suppliers",
    "critical_operation": "critical operations",
    "availability": "round trips that were tried",
}
BY_NAME = {objective.name: objective for objective in OBJECTIVES}
BY_SERIES = {objective.series: number for number, objective in enumerate(OBJECTIVES)}
Values = np.ndarray[Any, Any]
_MIN = np.array([objective.min for objective in OBJECTIVES])
_MAX = np.array([objective.max for objective in OBJECTIVES])


@dataclass(frozen=True)
class Window:
    """Budget burns too fast when it does so over both spans.

    The long one says it matters, the short one that it goes on. `burn` is a multiple of the rate at which the
    budget would last exactly the objective's window.
    """

    long: timedelta
    short: timedelta
    burn: float
    pages: bool


#: Google's SRE workbook, chapter 5: 2 % of 30 days' budget in an hour, 5 % in 6 hours, 10 % in 3 days.
MONTH = (
    Window(timedelta(hours=1), timedelta(minutes=5), 14.4, pages=True),
    Window(timedelta(hours=6), timedelta(minutes=30), 6.0, pages=True),
    Window(timedelta(days=3), timedelta(hours=6), 1.0, pages=False),
)
#: Fewer bad events than this are chance: no false page in 72 service-months, 50 s later at 100 requests an
#: hour.
BAD_MIN = 3


def wedding_windows(lasts: timedelta) -> tuple[Window, ...]:
    """Return the windows of a wedding that lasts so long.

    A tenth of its own budget at once, a quarter within an eighth of it. 8 hours at 99.9 % are 28.8 s: a page
    after 2.9 s of outage within 5 minutes, or 7.2 s within an hour.
    """
    hour, five = lasts / 8, max(lasts / 96, timedelta(minutes=1))
    return (
        Window(five, max(five / 5, timedelta(seconds=30)), 0.10 * (lasts / five), pages=True),
        Window(hour, five, 0.25 * (lasts / hour), pages=True),
    )


@dataclass(frozen=True)
class Counts:
    """Events within a window's spans."""

    total_long: int
    bad_long: int
    total_short: int
    bad_short: int


def burns(objective: Objective, window: Window, counts: Counts) -> float:
    """Return by how many times the budget burns too fast over both spans.

    0 when it does not, or by chance.
    """
    if counts.bad_long < BAD_MIN or not counts.total_short:
        return 0.0
    budget = 1.0 - objective.target
    long, short = counts.bad_long / counts.total_long / budget, counts.bad_short / counts.total_short / budget
    return long if min(long, short) >= window.burn else 0.0


def rate(objective: Objective, counts: Counts | None, *, unmeasured: float) -> float:
    """Return by how many times the budget burns too fast over the short span now; else `unmeasured`."""
    if counts is None or not counts.total_short:
        return unmeasured
    return counts.bad_short / counts.total_short / (1.0 - objective.target)


def budget_left(objective: Objective, total: int, bad: int) -> float:
    """Return the share of the error budget that is left, 1 untouched, below 0 overdrawn."""
    return 1.0 - bad / total / (1.0 - objective.target) if total else 1.0


def are_bad(numbers: Values, values: Values, failed: Values) -> Values:
    """Tell for each event whether it is bad, as booleans.

    `numbers` are the objectives by their places in OBJECTIVES; all three arrays are of one length.
    """
    return failed | ~((values >= _MIN[numbers]) & (values <= _MAX[numbers]))


def describe(objective: Objective, window: Window, counts: Counts, burn: float) -> str:
    """Return in people's words how many events were bad, and what that costs.

    Such as `348 of 348 loads … in the last 5 min`.
    """
    span = window.short if counts.bad_short else window.long
    bad, total = (
        (counts.bad_short, counts.total_short) if counts.bad_short else (counts.bad_long, counts.total_long)
    )
    minutes = span.total_seconds() / 60
    last = f"{minutes:,.0f} min" if minutes >= 1 else f"{span.total_seconds():.0f} s"
    return (
        f"{bad:,} of {total:,} {objective.bad} in the last {last} ({burn:,.0f} times what the error budget "
        "allows)"
    )


def worst(found: Iterable[tuple[Window, float]]) -> tuple[Window, float] | None:
    """Return the most urgent window in which the budget burns too fast, and how fast.

    None when it does in none.
    """
    burning = [(window, burn) for window, burn in found if burn]
    return max(burning, key=lambda one: (one[0].pages, one[0].burn), default=None)
