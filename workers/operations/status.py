"""How all is going: the verdict, and what it rests on."""

from collections.abc import Callable

from workers.alerts.rules.lifecycle import Policy as Thresholds
from workers.foundation import background, database, redis, settings
from workers.foundation.moments import MachineMoment, Moment
from workers.operations import live, rows
from workers.operations.verdict import UNREACHABLE, WORDS, Status
from workers.scaling.rules.policy import Policy
from workers.seasons.rules.season import Policy as Seasons

#: In seconds: for how long somebody waits for each server; both are asked at once.
PATIENCE = 2.0


def gather(*, now: Moment, machine: MachineMoment) -> Status:
    """Return what is known now.

    A server that is unavailable is the verdict, and what the other one knows is there all the same.
    """
    status = Status(now=now.isoformat(timespec="seconds"))
    parts: dict[str, Callable[[], None]] = {
        "Redis": lambda: live.from_redis(status, now, machine.timestamp()),
        "PostgreSQL": lambda: rows.from_postgres(status, now),
    }
    for name, error in zip(parts, background.within(PATIENCE, *parts.values()), strict=True):
        if isinstance(error, redis.UNREACHABLE):
            status.blame(
                UNREACHABLE, f"Redis does not answer ({error}); see WEDOPS_BROKER_URL, or run `wedops doctor`"
            )
        elif isinstance(error, TimeoutError):
            status.blame(UNREACHABLE, f"{name} gave {error}; run `wedops doctor`")
        elif isinstance(error, database.DatabaseUnavailable):
            status.blame(UNREACHABLE, str(error))
        elif error:
            raise error
    status.switched_off = _switched_off()
    word = WORDS[status.code]
    if not status.why and (lacking := _lacking(status)):
        word, status.why = "idle", lacking
    more = [f"and {len(status.why) - 5} more"] if len(status.why) > 5 else []
    status.verdict = f"{word}: {'; '.join(status.why[:5] + more) or 'all jobs run, nothing waits, no alert'}"
    return status


def _switched_off() -> list[str]:
    """Return the switches of the platform that are off: nothing is silent about it."""
    scaled, alerted, seasonal = settings.read(Policy), settings.read(Thresholds), settings.read(Seasons)
    off = {
        "PREDICTIVE_SCALING_ENABLED": not scaled.predictive,
        "PERFORMANCE_MONITORING_ENABLED": not alerted.performance,
        "WEDDING_DAY_MONITORING": not seasonal.wedding_days,
        "WEDDING_DAY_ENHANCED_MONITORING": not alerted.wedding_tempo,
    }
    return [name for name, is_off in off.items() if is_off]


def _lacking(status: Status) -> list[str]:
    """Return what a system lacks that has nothing to look after: healthy would say too much."""
    calendar = (
        [] if status.has_calendar else ["no wedding is in the calendar (`wedops weddings import FILE`)"]
    )
    return calendar + ([] if status.nodes else ["no realtime node has reported"])
