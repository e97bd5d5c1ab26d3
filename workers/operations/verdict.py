"""What an operator wants to see first, and how bad it is."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from workers.foundation.errors import UNAVAILABLE

HEALTHY, DEGRADED, CRITICAL, UNREACHABLE = 0, 3, 4, UNAVAILABLE
WORDS = {HEALTHY: "healthy", DEGRADED: "degraded", CRITICAL: "critical", UNREACHABLE: "unreachable"}


@dataclass
class Status:
    """Everything an operator wants to see first. Moments are ISO texts; the world's, but for the jobs'."""

    verdict: str = ""
    code: int = HEALTHY
    why: list[str] = field(default_factory=list)
    now: str = ""
    kind_of_day: str = ""
    connections: int = 0
    regions: list[dict[str, Any]] = field(default_factory=list)
    seasons: dict[str, str] = field(default_factory=dict)
    next_weddings: list[dict[str, Any]] = field(default_factory=list)
    emergencies: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    #: Regions whose decisions nobody applies, and what waits for an approval.
    shadow: list[str] = field(default_factory=list)
    proposals: list[dict[str, Any]] = field(default_factory=list)
    requests_waiting: int = 0
    queues: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    circuits: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 0
    peak: int = 0
    peak_until: str | None = None
    #: Where guests give way first, each with its owner, reason and end; whether anywhere, and by whom.
    emergency_modes: list[dict[str, Any]] = field(default_factory=list)
    emergency_mode: bool = False
    emergency_mode_by: str = ""
    beats: int = 0
    tallies: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    given_up: int = 0
    has_calendar: bool = False
    #: Alerts that wait whether they last.
    pending: int = 0
    #: Switches of the platform that are off.
    switched_off: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with no reason."""
        self._blamed: list[tuple[int, bool, str]] = []
        # Redis and PostgreSQL are asked at once.
        self._lock = Lock()

    def blame(self, code: int, why: str) -> None:
        """Add a reason. The worst sets the code, and comes first; what may cause alerts comes before them."""
        with self._lock:
            self._blamed.append((-code, why.startswith("alert "), why))
            self._blamed.sort(key=lambda one: one[:2])
            self.why = [why for *_, why in self._blamed]
            self.code = max(self.code, code)
