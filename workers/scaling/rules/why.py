"""Why a decision is as it is: what each fact asked for, what held it, and what would have changed it. Pure.

All of it follows from the reading and the policy that a decision was made from, by the functions that decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from workers.foundation.moments import Moment
from workers.scaling.rules.decision import Bid, Decision, Reading, Reason, bids, cap_of, decide, holds, sound
from workers.scaling.rules.policy import Policy


@dataclass(frozen=True)
class Otherwise:
    """Another course of things, and what would have been decided then."""

    if_: str
    decision: Decision


@dataclass(frozen=True)
class Why:
    """What bound a decision.

    `bids` by how much they asked for, the bounds, what kept some from being taken away.
    """

    decision: Decision
    bids: tuple[Bid, ...]
    min: int
    cap: int
    ceiling: int
    holds: tuple[Reason, ...]
    otherwise: tuple[Otherwise, ...]


def _measured(reading: Reading) -> Reading:
    load, expected = reading.load or 0.0, reading.expected or 0.0
    return replace(reading, load=load, expected=expected, partly=False, unlearned=False, unasked=False)


#: One fact changed at a time, so that who asks sees which of them the outcome hung on.
_COURSES: Mapping[str, Callable[[Reading], Reading]] = {
    "nobody had been connected": lambda one: replace(one, load=0.0, lately=0.0),
    "nothing had been forecast": lambda one: replace(one, expected=0.0),
    "no climb had been possible": lambda one: replace(one, upper=0.0),
    "the last half hour had been as calm as now": lambda one: replace(one, lately=None),
    "nothing had been strained": lambda one: replace(one, pressure=0.0),
    "nothing had been taken away before": lambda one: replace(one, shrunk_from=0, undone=0),
    "it had not been the peak season": lambda one: replace(one, floor=0),
    "nobody had ordered an emergency": lambda one: replace(one, emergency=0),
    "scaling in had not been suspended": lambda one: replace(one, scale_in_suspended=False),
    "scaling out had not been suspended": lambda one: replace(one, scale_out_suspended=False),
    "no wedding had been near": lambda one: replace(one, frozen_until=None, ceremony_ahead=False),
    "nothing had changed of late": lambda one: replace(one, changed_at=None),
    "all had been measured and asked": _measured,
    "the approval had not ended": lambda one: replace(one, expired=False),
    "as much as possible had been approved": lambda one: replace(one, allowed=2**31, expired=False),
}


def explain(reading: Reading, policy: Policy, *, now: Moment) -> Why:
    """Return why `decide` says what it says of a reading."""
    reading, bounds = sound(reading), policy.bounds(reading.resource)
    decided = decide(reading, policy, now=now)
    others = ((text, decide(change(reading), policy, now=now)) for text, change in _COURSES.items())
    return Why(
        decision=decided,
        bids=tuple(sorted(bids(reading, policy, now=now), key=lambda one: -one.to)),
        min=bounds.min,
        cap=cap_of(reading, policy),
        ceiling=bounds.ceiling,
        holds=tuple(holds(reading, policy, now=now)),
        otherwise=tuple(Otherwise(text, one) for text, one in others if one != decided),
    )
