"""The demo's world: a Saturday whose clock runs fast, and who looks at it is patient in seconds of ours."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from workers.alerts.rules import lifecycle as alerting
from workers.foundation import clock

#: The demo's first Saturday, 9 o'clock in New York, and how much of a day is played.
SATURDAY = datetime(2026, 10, 10, 13, tzinfo=UTC)
PLAYED = timedelta(hours=14)
SPEED = 60.0


def begin(home: Path, seconds: float | None) -> None:
    """Have the world go on where it stood, or on the next Saturday when the last one was played."""
    saved = home / "world"
    start = datetime.fromisoformat(saved.read_text()) if saved.exists() else SATURDAY
    weeks = max(0, (start - SATURDAY) // timedelta(days=7))
    saturday = SATURDAY + timedelta(days=7) * weeks
    if start >= saturday + PLAYED:
        start = saturday + timedelta(days=7)
    speed = max(SPEED, timedelta(hours=10).total_seconds() / seconds) if seconds else SPEED
    os.environ.setdefault(clock.VARIABLE, str(clock.World(start, speed, clock.epoch())))
    # A snapshot every 10 s is minutes apart in a world that runs fast; a room for 85 people makes a few
    # hundred a crowd.
    os.environ.setdefault("SNAPSHOTS_FRESH_FOR", f"{int(300 * speed)}s")
    os.environ.setdefault("SCALING_CONNECTIONS_PER_INSTANCE", "85")
    os.environ.setdefault("SCALING_SHRINK_AFTER", "30m")
    # A demo's regions act at once; one machine plays all nodes, and how busy that is says nothing about any
    # of them.
    os.environ.setdefault("SCALING_NEW_REGIONS", "live")
    for figure in ("SCALING_CPU", "SCALING_MEMORY", "ALERTS_HIGH_CPU", "ALERTS_CRITICAL_CPU"):
        os.environ.setdefault(figure, "9")
    # Who looks at alerts is patient in seconds of ours.
    patience = alerting.Policy()
    for name in ("pending_for", "resolve_after", "flapping_within", "group_wait", "group_interval"):
        lasts = min(getattr(patience, name) * speed, timedelta(days=1))
        os.environ.setdefault(f"ALERTS_{name.upper()}", f"{int(lasts.total_seconds())}s")
