"""What is done about a degradation: playbooks as data, a ladder for each kind, severity and time. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from workers.alerts.rules import kinds
from workers.alerts.rules.kinds import Severity, Tempo
from workers.alerts.rules.lifecycle import AlertView, State, lasted
from workers.connections.rules.shedding import Feature, sheddable
from workers.foundation.moments import Moment
from workers.weddings.rules.calendar import Phase


class Action(StrEnum):
    """What can be done.

    None of it touches the timeline of a running ceremony, or takes anything from couple and planner.
    """

    #: The cache gets what it may have: reads come from it instead of the database.
    GROW_CACHE = "grow_cache"
    #: Guests give way: their messages are gathered, their share of the network is the least, new ones wait
    #: when it is full.
    EMERGENCY_MODE = "emergency_mode"
    #: One feature each that people can do without, in this order.
    SHED_PRESENCE = "shed_presence"
    SHED_TYPING = "shed_typing"
    SHED_HISTORY = "shed_history"
    SHED_BROADCAST = "shed_broadcast"
    #: The region gets instances at once, past cooldowns, within its cap.
    SCALE = "scale"
    #: The region's people go to others, where there are any that can take them.
    DRAIN_REGION = "drain_region"
    #: Nothing: it is looked at again after its time.
    WATCH = "watch"


#: What each leaves out.
SHEDS = {
    Action.SHED_PRESENCE: Feature.PRESENCE,
    Action.SHED_TYPING: Feature.TYPING,
    Action.SHED_HISTORY: Feature.HISTORY,
    Action.SHED_BROADCAST: Feature.BROADCAST,
}
#: What is of the wedding that has the trouble, else of its region.
_OF_A_WEDDING = frozenset({Action.EMERGENCY_MODE, *SHEDS})
#: What is done for all of a region.
_OF_A_REGION = frozenset({Action.SCALE, Action.DRAIN_REGION})
#: What one step does for all regions.
SHARED = frozenset({Action.GROW_CACHE})


class Outcome(StrEnum):
    """What became of a step."""

    ACTING = "acting"
    BETTER = "better"
    NO_BETTER = "no_better"
    WORSE = "worse"


class Reason(StrEnum):
    """Why something is done."""

    DEGRADED = "degraded"
    MEASURED = "measured"
    NO_BETTER = "no_better"
    WORSE = "worse"
    EXHAUSTED = "exhausted"
    BY_HAND = "by_hand"


@dataclass(frozen=True)
class Policy:
    """A step has `effect_within` to show.

    A value that is less by `better` of what it was is better, more by `worse` is worse. What was done is
    undone once the indicator has been below its threshold for `calm_for`. What a step ordered holds for
    `order_for` if nobody is left to undo it.
    """

    prefix: ClassVar = "RESPONSES_"
    formerly: ClassVar = "DEGRADATION_"

    effect_within: timedelta = timedelta(seconds=60)
    effect_within_wedding: timedelta = timedelta(seconds=30)
    better: float = 0.2
    worse: float = 0.2
    calm_for: timedelta = timedelta(seconds=20)
    order_for: timedelta = timedelta(minutes=30)

    def __post_init__(self) -> None:
        """Refuse what would call everything better, or nothing."""
        if not 0 < self.better < 1 or not 0 < self.worse < 100:
            raise ValueError("better must lie between 0 and 1, worse above 0")


@dataclass(frozen=True)
class Playbook:
    """The ladder of a playbook for some severities, at some tempo: what is tried first stands first.

    One that `sheds` leaves out after it what people can do without, feature by feature.
    """

    name: kinds.Playbook
    severities: tuple[Severity, ...]
    tempos: tuple[Tempo, ...]
    ladder: tuple[Action, ...]
    sheds: bool = False


_OUTAGE, _SLOW, _ODD = kinds.Playbook.OUTAGE, kinds.Playbook.SLOW, kinds.Playbook.ODD
_WEDDING, _ALWAYS = (Tempo.WEDDING_DAY, Tempo.RUNNING), tuple(Tempo)
_PAGED = (Severity.CRITICAL, Severity.HIGH)
#: The first that fits an alert is its own.
PLAYBOOKS = (
    # Nobody gets in: more room does not help, another region does.
    Playbook(
        _OUTAGE, (Severity.CRITICAL,), _WEDDING, (Action.EMERGENCY_MODE, Action.DRAIN_REGION, Action.SCALE)
    ),
    Playbook(_OUTAGE, _PAGED, _ALWAYS, (Action.SCALE, Action.DRAIN_REGION)),
    # On a wedding day guests give way at once: its minutes do not come again.
    Playbook(
        _SLOW,
        (Severity.CRITICAL,),
        _WEDDING,
        (Action.EMERGENCY_MODE, Action.SCALE, Action.GROW_CACHE),
        sheds=True,
    ),
    Playbook(_SLOW, (Severity.CRITICAL,), _ALWAYS, (Action.SCALE, Action.GROW_CACHE, Action.EMERGENCY_MODE)),
    Playbook(
        _SLOW, (Severity.HIGH,), (Tempo.RUNNING,), (Action.SCALE, Action.GROW_CACHE, Action.EMERGENCY_MODE)
    ),
    Playbook(_SLOW, (Severity.HIGH,), _ALWAYS, (Action.GROW_CACHE, Action.SCALE)),
    Playbook(_SLOW, (Severity.MEDIUM,), _ALWAYS, (Action.GROW_CACHE, Action.WATCH)),
    # What is only odd gets only what does no harm.
    Playbook(_ODD, tuple(Severity), _ALWAYS, (Action.WATCH,)),
)


@dataclass(frozen=True)
class Response:
    """A step that was taken for an alert.

    Its place on the ladder from 1, and the indicator when it was taken.
    """

    id: int
    alert_id: int
    number: int
    action: Action
    outcome: Outcome
    region: str
    wedding_id: str
    before: float
    at: Moment


@dataclass(frozen=True)
class Decision:
    """What is to be done now.

    A step is measured, undone, the next one taken; nothing of these calls for help.
    """

    reason: Reason
    measured: Outcome | None = None
    take: Action | None = None
    number: int = 0


def playbook(alert: AlertView, tempo: Tempo) -> Playbook | None:
    """Return the ladder for an alert; None where nothing is done by itself."""
    own = (one for one in PLAYBOOKS if one.name is alert.kind.playbook)
    return next((one for one in own if alert.severity in one.severities and tempo in one.tempos), None)


def ladder(
    found: Playbook, phases: Collection[Phase], *, cache_is_small: bool, of_a_wedding: bool = False
) -> tuple[Action, ...]:
    """Return a playbook's steps where weddings are in some phases.

    A cache that need not evict is not grown: that helps nobody. What is known of one wedding moves no region:
    no step is wider than what it goes by.
    """
    own = [one for one in found.ladder if cache_is_small or one is not Action.GROW_CACHE]
    own = [one for one in own if not of_a_wedding or one not in _OF_A_REGION]
    allowed = sheddable(phases) if found.sheds else ()
    return (*own, *(action for action, feature in SHEDS.items() if feature in allowed))


def decide(
    alert: AlertView,
    taken: Sequence[Response],
    ladder: Sequence[Action],
    tempo: Tempo,
    policy: Policy,
    *,
    now: Moment,
) -> Decision | None:
    """Return what is to be done about an active alert, given the steps taken for it.

    None is nothing now. One decision at a time: a step that made it worse is undone before the next one is
    taken.
    """
    if alert.state not in (State.FIRING, State.ACKNOWLEDGED):
        return None
    if not taken:
        return Decision(Reason.DEGRADED, take=ladder[0], number=1)
    last = taken[-1]
    within = policy.effect_within if tempo is Tempo.ORDINARY else policy.effect_within_wedding
    # What helped gets as much time again before more is done.
    if now < last.at + within * (2 if last.outcome is Outcome.BETTER else 1):
        return None
    if last.outcome is not Outcome.ACTING:
        return _next(alert, taken, ladder)
    if alert.seen_at <= last.at and alert.calm_since is None:
        # Nothing was measured since.
        return None
    outcome = effect(last.before, alert.value, policy)
    return Decision(Reason.WORSE if outcome is Outcome.WORSE else Reason.MEASURED, measured=outcome)


def _next(alert: AlertView, taken: Sequence[Response], ladder: Sequence[Action]) -> Decision | None:
    # The ladder may be another one by now: it got worse, or a wedding began.
    if action := untried(taken, ladder):
        return Decision(Reason.NO_BETTER, take=action, number=len(taken) + 1)
    # Nobody is called for what was only to be watched.
    return None if alert.severity is Severity.MEDIUM else Decision(Reason.EXHAUSTED)


def untried(taken: Sequence[Response], ladder: Sequence[Action]) -> Action | None:
    """Return the first step of a ladder that was not taken."""
    tried = {one.action for one in taken}
    return next((one for one in ladder if one not in tried), None)


def effect(before: float, after: float, policy: Policy) -> Outcome:
    """Return what a step did to its indicator; for all indicators that have a playbook less is better."""
    if after < before and after <= before * (1 - policy.better):
        return Outcome.BETTER
    return Outcome.WORSE if after > before * (1 + policy.worse) else Outcome.NO_BETTER


def recovered(alert: AlertView, policy: Policy, *, now: Moment) -> bool:
    """Tell whether an alert's indicator was below its threshold for long enough to undo what was done."""
    return alert.state is State.RESOLVED or (
        alert.calm_since is not None and lasted(alert.calm_since, now=now) >= policy.calm_for
    )


@dataclass(frozen=True)
class Scope:
    """Where a step brought a state about: those of one scope are undone together.

    What is None makes no difference.
    """

    action: Action
    region: str | None
    wedding_id: str | None


def scope(step: Response) -> Scope:
    """Return what else needs the same state that a step brought about."""
    if step.action in _OF_A_WEDDING:
        return Scope(step.action, None if step.wedding_id else step.region, step.wedding_id)
    return Scope(step.action, None if step.action in SHARED else step.region, None)
