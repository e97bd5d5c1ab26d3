"""The kinds of alert, each declared once.

How bad it is at worst, who evaluates it, what is done by itself. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"

    def worse_than(self, other: "Severity") -> bool:
        """Tell whether it is worse than another."""
        order = list(Severity)
        return order.index(self) < order.index(other)


class Tempo(StrEnum):
    """How fast it must go: the time of an alert's people."""

    ORDINARY = "ordinary"
    WEDDING_DAY = "wedding_day"
    RUNNING = "running"


class Evaluator(StrEnum):
    """Who finds an alert, and says when it has ended: a task, or the process `watch`."""

    MEASUREMENTS = "alerts.check"
    REALTIME = "alerts.watch"
    TASK_SYSTEM = "watch"
    RESPONSES = "responses.respond"


class Playbook(StrEnum):
    """Which ladder of responses an alert has: responses.rules has the steps."""

    NONE = ""
    OUTAGE = "outage"
    SLOW = "slow"
    ODD = "odd"


@dataclass(frozen=True)
class _About:
    name: str
    worst: Severity
    evaluator: Evaluator
    playbook: Playbook = Playbook.NONE
    performance: bool = False


class Kind(StrEnum):
    """What an alert is about; each has a page in docs/runbooks of its name."""

    worst: Severity
    evaluator: Evaluator
    playbook: Playbook
    #: It says how well the platform does, not that something failed: the platform's switch mutes it.
    performance: bool

    def __new__(cls, about: "_About | str") -> "Kind":
        """Take what is declared below; a stored name finds its kind without coming here."""
        if isinstance(about, str):
            raise ValueError(f"{about!r} is no kind of alert")
        made = str.__new__(cls, about.name)
        made._value_, made.worst, made.evaluator = about.name, about.worst, about.evaluator
        made.playbook, made.performance = about.playbook, about.performance
        return made

    # How the platform feels to its people.
    RESPONSE_TIME = _About(
        "response_time", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    ERROR_RATE = _About(
        "error_rate", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    AVAILABILITY = _About(
        "availability", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.OUTAGE, performance=True
    )
    QUALITY = _About("quality", Severity.HIGH, Evaluator.REALTIME, performance=True)
    ANOMALY = _About("anomaly", Severity.MEDIUM, Evaluator.MEASUREMENTS, Playbook.ODD, performance=True)
    # What a wedding cannot do without.
    PHOTO_UPLOAD = _About(
        "photo_upload", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    GUEST_LIST = _About(
        "guest_list", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    TIMELINE_SYNC = _About(
        "timeline_sync", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    ERROR_BUDGET = _About(
        "error_budget", Severity.CRITICAL, Evaluator.MEASUREMENTS, Playbook.SLOW, performance=True
    )
    # What failed.
    NODE_OUT = _About("node_out", Severity.CRITICAL, Evaluator.REALTIME)
    DATABASE = _About("database", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    CACHE = _About("cache", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    BROKER = _About("broker", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    JOB_STOPPED = _About("job_stopped", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    BEAT_STOPPED = _About("beat_stopped", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    WATCH_STOPPED = _About("watch_stopped", Severity.CRITICAL, Evaluator.REALTIME)
    WORKER_FROZEN = _About("worker_frozen", Severity.HIGH, Evaluator.TASK_SYSTEM)
    QUEUE_AGE = _About("queue_age", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    CLOCK_SKEW = _About("clock_skew", Severity.HIGH, Evaluator.TASK_SYSTEM)
    NOTIFICATION = _About("notification", Severity.HIGH, Evaluator.TASK_SYSTEM)
    RESPONSE_FAILED = _About("response_failed", Severity.CRITICAL, Evaluator.RESPONSES)
    CACHE_STALE = _About("cache_stale", Severity.HIGH, Evaluator.REALTIME)
    CACHE_POISONED = _About("cache_poisoned", Severity.HIGH, Evaluator.REALTIME)
    WARM_UP_UNREAD = _About("warm_up_unread", Severity.MEDIUM, Evaluator.REALTIME, performance=True)
    # What runs out.
    CACHE_PRESSURE = _About("cache_pressure", Severity.MEDIUM, Evaluator.REALTIME, performance=True)
    MEMORY = _About("memory", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    CPU = _About("cpu", Severity.CRITICAL, Evaluator.REALTIME)
    STORAGE = _About("storage", Severity.CRITICAL, Evaluator.TASK_SYSTEM)
    # What capacity lacks.
    ACTION_FAILED = _About("action_failed", Severity.HIGH, Evaluator.REALTIME)
    CAPACITY_AHEAD = _About("capacity_ahead", Severity.HIGH, Evaluator.REALTIME, performance=True)
    FORECAST_UNFIT = _About("forecast_unfit", Severity.MEDIUM, Evaluator.REALTIME, performance=True)
