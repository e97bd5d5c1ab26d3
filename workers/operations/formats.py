"""A review of a day, as people read it."""

from collections.abc import Mapping
from datetime import date
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """Return a review, as JSON has it, as Markdown."""
    day, sent = date.fromisoformat(found["day"]), found["messages"]
    cost = "cost" if found["price"] else "instance-hours"
    lines = [
        f"# {day:%A, %d %B %Y}",
        "",
        f"{found['weddings']} weddings, {found['guests']} guests, {found['cancelled']} cancelled; "
        f"affected: {found['affected_in_all']}.",
        *(
            []
            if found.get("is_over", True)
            else ["", "The day is not over yet: this is as far as it has gone."]
        ),
        "",
        f"| region | day | weddings | peak | forecast P50, P90 | {cost} a wedding |",
        "|---|---|---|---|---|---|",
        *(_row(one) for one in found["regions"]),
        "",
        "## What happened",
        "",
        *(_counted("alerts", found["alerts"]) + _counted("emergencies", found["emergencies"])),
        *_response(found["response_seconds"]),
        f"- critical moments: {_critical_words(found['critical'])}",
        f"- urgent messages: {sent['sent']} sent, {sent['missed']} recipients missed",
        "",
        "## Who was affected",
        "",
        *[_affected(one) for one in found["affected"]],
    ]
    lines += [] if found["affected"] else ["Nobody."]
    return "\n".join(lines) + "\n"


def _row(one: Mapping[str, Any]) -> str:
    peak, p50, p90 = (_number(one[name]) for name in ("peak", "forecast_p50", "forecast_p90"))
    cost = _number(one["cost_per_wedding"], 2)
    day = f"{one['region']} | {one['kind']} | {one['weddings']}"
    return f"| {day} | {peak} | {p50}, {p90} | {cost} |"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _counted(what: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return [f"- {what}: none"]
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [f"- {what}: {', '.join(f'{many} {name}' for name, many in most)}"]


def _critical_words(counts: Mapping[str, int]) -> str:
    if not counts.get("reported"):
        return "none was reported"
    late, warned = counts.get("late", 0), counts.get("warned", 0)
    return f"{counts['reported']} reported, {late} late, {warned} of those warned of"


def _affected(one: Mapping[str, Any]) -> str:
    return f"- {one['wedding_id']} ({one['guests']} guests): {'; '.join(one['why'])}"


def _response(seconds: float | None) -> list[str]:
    if seconds is None:
        return []
    return [f"- half of the emergencies had a first step done within {seconds / 60:.1f} min"]
