"""What is above its threshold, from what was measured. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from workers.alerts.rules.kinds import Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.caching.rules.structure import Condition
from workers.forecasting.rules.calibration import Score, Trust
from workers.measurements.rules.samples import Anomaly, parts
from workers.snapshots.rules import Snapshot


def breaches(snapshots: Iterable[Snapshot], policy: Policy) -> list[Breach]:
    """Return what is above a threshold in the regions' last snapshots."""
    found = []
    for row in snapshots:
        if row.p95_ms is not None and (severity := policy.severity("ms", row.p95_ms)):
            detail = f"95 % of round trips in {row.region} take up to {row.p95_ms:,.0f} ms"
            found.append(Breach(Kind.RESPONSE_TIME, row.region, severity, row.p95_ms, detail, row.region))
        rate = row.error_rate if row.messages >= policy.messages_min else None
        if rate is not None and (severity := policy.severity("errors", rate)):
            detail = f"{rate:.1%} of {row.messages} messages in {row.region} failed"
            found.append(Breach(Kind.ERROR_RATE, row.region, severity, rate, detail, row.region))
    return found


def nodes_out(out: Mapping[str, str], up: Iterable[str]) -> list[Breach]:
    """Return a breach for each node that is out.

    `out` is their region by name, `up` the regions that have a node left.
    """
    served, found = set(up), []
    for name, region in out.items():
        severity = Severity.HIGH if region in served else Severity.CRITICAL
        detail = f"node {name} of {region} is silent" + (
            "" if region in served else ", and no node of its region is left"
        )
        found.append(Breach(Kind.NODE_OUT, name, severity, 1.0, detail, region))
    return found


def busy(nodes: Mapping[str, tuple[float, str]], policy: Policy) -> list[Breach]:
    """Return a breach for each node whose processors are busy.

    `nodes` has (share from 0 to 1, region) by name.
    """
    return [
        Breach(Kind.CPU, name, severity, share, f"the processors of node {name} are {share:.0%} busy", region)
        for name, (share, region) in nodes.items()
        if (severity := policy.severity("cpu", share))
    ]


def quality(scores: Mapping[str, Iterable[float]], regions: Mapping[str, str]) -> list[Breach]:
    """Return a breach for each tenant whose couple's or planners' connections are bad.

    `scores` (0-100) are the low ones. `regions` has the region of those tenants that are weddings.
    """
    found = []
    for tenant, low in scores.items():
        worst, many = min(low), len(list(low))
        severity = Severity.HIGH if worst < 40 else Severity.MEDIUM
        detail = (
            f"{many} connection(s) of couple or planner at {tenant} are bad: the worst scores {worst:.0f} of "
            "100"
        )
        wedding_id = tenant if tenant in regions else ""
        found.append(
            Breach(Kind.QUALITY, tenant, severity, worst, detail, regions.get(tenant, ""), wedding_id)
        )
    return found


def actions_failed(problems: Mapping[str, str]) -> list[Breach]:
    """Return a breach for each resource (`region/resource`) that could not be set as desired."""
    return [
        Breach(
            Kind.ACTION_FAILED, what, Kind.ACTION_FAILED.worst, 1.0, f"{what}: {why}", what.partition("/")[0]
        )
        for what, why in problems.items()
    ]


def anomalies(found: Iterable[Anomaly]) -> list[Breach]:
    """Return a breach for each series that does not behave as it used to.

    A ticket, never a page; budgets page.
    """
    words = {"step": "stepped to", "surprise": "has never behaved so before: it is"}
    return [
        Breach(
            Kind.ANOMALY,
            one.series,
            Kind.ANOMALY.worst,
            one.value,
            f"{one.series} {words[one.kind]} {one.value:.4g}",
            parts(one.series)[1].get("region", ""),
        )
        for one in found
    ]


def cache(condition: Condition) -> list[Breach]:
    """Return a breach for each thing that is amiss with the cache."""
    found = []
    if condition.stale.stale:
        one = condition.stale
        detail = (
            f"{one.stale} of {one.sampled} sampled entries were older than their source, by {one.lag:.0f} s"
        )
        found.append(Breach(Kind.CACHE_STALE, "cache", Kind.CACHE_STALE.worst, one.share, detail))
    if condition.poisoned:
        detail = f"{condition.poisoned} entries of the cache are none that we wrote: they were refused"
        worst = Kind.CACHE_POISONED.worst
        found.append(Breach(Kind.CACHE_POISONED, "cache", worst, float(condition.poisoned), detail))
    if condition.unread:
        detail = f"nothing was read of what was warmed for {', '.join(condition.unread[:5])}"
        value = float(len(condition.unread))
        found.append(Breach(Kind.WARM_UP_UNREAD, "cache", Kind.WARM_UP_UNREAD.worst, value, detail))
    if condition.structure and condition.structure.is_too_small:
        rate = condition.structure.evictions_per_s
        detail = f"the cache is full and gives up {rate:.0f} entries a second"
        found.append(Breach(Kind.CACHE_PRESSURE, "cache", Kind.CACHE_PRESSURE.worst, rate, detail))
    return found


def capacity_ahead(days: Mapping[str, date], worst: Mapping[str, str], *, today: date) -> list[Breach]:
    """Return a breach for each limit (`region/limit`) that a day to come may meet.

    Medium, high from two weeks before.
    """
    found = []
    for what, first in days.items():
        severity = Severity.HIGH if first - today <= timedelta(days=14) else Severity.MEDIUM
        found.append(
            Breach(
                Kind.CAPACITY_AHEAD,
                what,
                severity,
                float((first - today).days),
                worst[what],
                what.partition("/")[0],
            )
        )
    return found


_UNFIT = {
    Trust.REACTIVE: "is not believed: {:.0%} of what was seen lay below its 90 % quantile; scaling goes by "
    "what is seen",
    Trust.EXCESSIVE: "says more than twice what comes: {:.0%} of what was seen lay below its 90 % quantile; "
    "that costs",
}


def forecasts_unfit(scores: Mapping[str, Score]) -> list[Breach]:
    """Return a breach for each region whose forecast is not believed, or should not be."""
    return [
        Breach(
            Kind.FORECAST_UNFIT,
            region,
            Kind.FORECAST_UNFIT.worst,
            score.coverage["p90"],
            f"the forecast of {region} {_UNFIT[score.trust].format(score.coverage['p90'])}",
            region,
        )
        for region, score in scores.items()
        if score.trust in _UNFIT
    ]


def evaluated(snapshots: Iterable[Snapshot], policy: Policy) -> set[str]:
    """Return the fingerprints about which the snapshots say anything: silence is not health."""
    found = set()
    for row in snapshots:
        if row.p95_ms is not None or not row.connections:
            found.add(f"{Kind.RESPONSE_TIME}/{row.region}")
        if row.messages >= policy.messages_min or not row.connections:
            found.add(f"{Kind.ERROR_RATE}/{row.region}")
    return found
