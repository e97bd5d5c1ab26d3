"""Pictures of load and capacity, as PNG or SVG (extra `pictures`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from workers.forecasting.rules.forecast import Forecast
from workers.foundation.errors import ExpectedError
from workers.scaling.rules.policy import Policy
from workers.simulation.rules.replay import Counts, Past
from workers.wedding_day.usecases.showing import Course


class PicturesMissing(ExpectedError):
    """pictures need matplotlib; install the extra `pictures` (make install)"""


class PictureRefused(ExpectedError):
    """{path}: name a file that ends in .png or .svg, in a folder that exists"""


#: A line by time.
Line = tuple[list[datetime], list[float]]


def band(path: Path, forecast: Forecast, seen: Line, capacity: Line, *, hours: int) -> None:
    """Draw the first `hours` of a forecast's band, what was seen and what capacity carries, by time (UTC)."""
    steps = int(timedelta(hours=hours) / forecast.step)
    figure, axes = _new(path, f"{forecast.region}: forecast, actual, capacity")
    p10, p50, p90, p99 = (forecast.quantiles[name][:steps] for name in ("p10", "p50", "p90", "p99"))
    at = [forecast.starts_at + number * forecast.step for number in range(len(p50))]
    axes.fill_between(at, p10, p99, color="#9ecae1", alpha=0.5, label="P10-P99")
    axes.fill_between(at, p10, p90, color="#4292c6", alpha=0.5, label="P10-P90")
    axes.plot(at, p50, color="#08519c", label="P50")
    axes.plot(*seen, color="black", linewidth=1, label="actual")
    axes.step(*capacity, where="post", color="#d94801", label="capacity")
    _save(figure, axes, path)


def course(path: Path, wedding_id: str, zone: ZoneInfo, found: Sequence[Course]) -> None:
    """Draw when critical moments were forecast to start, by when that was forecast (local time)."""
    figure, axes = _new(path, f"{wedding_id}: when critical moments were forecast to start")
    for number, one in enumerate(found):
        colour = f"C{number}"
        axes.fill_between(one.at, one.p50, one.p90, color=colour, alpha=0.25, step="post")
        axes.step(
            one.at,
            one.p50,
            color=colour,
            where="post",
            label=one.moment + (" (warned of)" if one.is_warned else ""),
        )
        axes.axhline(one.planned, color=colour, linewidth=0.8, linestyle=":")
        if one.started:
            axes.plot([one.started], [one.started], marker="o", color=colour)
    # Matplotlib is an extra, and slow to import.
    from matplotlib.dates import DateFormatter  # noqa: PLC0415

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(DateFormatter("%H:%M", tz=zone))  # type: ignore[no-untyped-call]
    axes.set_ylabel("starts at (dotted: planned, dot: started)")
    if found:
        axes.set_xlim(left=min(one.planned for one in found) - timedelta(hours=5))
    _save(figure, axes, path, from_zero=False)


def capacity(path: Path, past: Past, supply: Counts, policy: Policy) -> None:
    """Draw the load of a span that was played and the capacity in use, by time (UTC)."""
    figure, axes = _new(path, f"{past.region}: load and the capacity that the planner had in use")
    first = len(past.load) - len(supply)
    at = [past.moment(first + minute) for minute in range(len(supply))]
    axes.plot(at, past.load[first:], color="black", linewidth=1, label="load")
    axes.step(at, supply * policy.connections_per_instance, where="post", color="#d94801", label="capacity")
    _save(figure, axes, path)


def responses(path: Path, region: str, seen: Line, steps: list[dict[str, Any]]) -> None:
    """Draw a region's round trips in ms and the steps that were taken for it, by time (UTC)."""
    figure, axes = _new(path, f"{region}: round trips (p95), and what was done about them", "ms")
    axes.plot(*seen, color="black", linewidth=1.2, marker=".", label="p95 of round trips")
    for number, step in enumerate(steps):
        end = step["undone_at"] or seen[0][-1]
        colour = ("#d94801", "#4292c6", "#41ab5d", "#807dba")[number % 4]
        axes.axvspan(step["at"], end, ymax=0.9 - 0.12 * number, color=colour, alpha=0.22)
        axes.axvline(
            step["at"],
            ymax=0.9 - 0.12 * number,
            color=colour,
            label=f"{step['action']} ({step['outcome']}) until undone",
        )
    _save(figure, axes, path)


def _new(path: Path, title: str, unit: str = "connections") -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, and few commands draw
    except ImportError:
        raise PicturesMissing from None
    if path.suffix not in {".png", ".svg"} or not path.absolute().parent.is_dir():
        raise PictureRefused(path=path)
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.add_subplot(title=title, ylabel=unit)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path, *, from_zero: bool = True) -> None:
    if from_zero:
        axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", frameon=False)
    axes.grid(alpha=0.3)
    figure.autofmt_xdate()
    figure.savefig(path, dpi=110)
