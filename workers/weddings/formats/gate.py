"""What the gate says, as JSON and in words."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from workers.weddings.rules.gate import Reason, Verdict


def plain(found: Verdict, region: str) -> dict[str, Any]:
    """Return a verdict as JSON has it; times are UTC, and local to the wedding that closes it longest."""
    zone = found.last.zone if found.last else None
    window = found.window
    return {
        "schema": "wedops.gate/1",
        "change": found.change,
        "region": region or None,
        "open": found.is_open,
        "reason": found.reason,
        "until": _local(found.until, "UTC"),
        "until_local": _local(found.until, zone),
        "weddings": found.weddings,
        "last_wedding": found.last.id if found.last else None,
        "zone": zone,
        "opened_by": found.override.by if found.override else None,
        "opened_for": found.override.reason if found.override else None,
        "window": {
            "since": _local(window.since, "UTC"),
            "since_local": _local(window.since, zone),
            "until": _local(window.until, "UTC"),
        }
        if window
        else None,
    }


def lines(found: Verdict, region: str) -> list[str]:
    """Return a verdict in words."""
    where = region or "all regions"
    zone = found.last.zone if found.last else None
    head = f"{found.change} in {where}: {'open' if found.is_open else 'closed'}"
    if found.until:
        head += f" until {_shown(found.until, zone)}"
    said = [head]
    if found.last:
        near = "1 wedding is near" if found.weddings == 1 else f"{found.weddings} weddings are near"
        soon = " too soon" if found.reason is Reason.TOO_SHORT else ""
        said.append(f"{near}{soon}; {found.last.id} for longest")
    if found.override:
        said.append(f"opened by {found.override.by}: {found.override.reason}")
    if not found.is_open:
        said.append(
            f"next window: {_shown(found.window.since, zone)}"
            + (f" to {_shown(found.window.until, zone)}" if found.window.until else " on")
            if found.window
            else "no window that long is ahead"
        )
    return said


def _local(at: datetime | None, zone: str | None) -> str | None:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds") if at and zone else None


def _shown(at: datetime, zone: str | None) -> str:
    local = f" ({at.astimezone(ZoneInfo(zone)):%a %H:%M} {zone})" if zone else ""
    return f"{at:%Y-%m-%d %H:%M}Z{local}"
