"""Every setting there is, by the class that declares it: what `doctor` checks, and the reference is made from."""

from dataclasses import fields

from workers.alerts import client as live_alerts
from workers.alerts import rules as alerts
from workers.alerts.actions import telling
from workers.balancing import client as supabase_nodes
from workers.balancing import rules as balancing
from workers.caching import rules as caching
from workers.connections import rules as connections
from workers.degradation import rules as responses
from workers.forecasting import rules as forecasting
from workers.forecasting.rules import peak_forecast
from workers.foundation.settings import Servers, Settable, read
from workers.metrics import rules as metrics
from workers.metrics.rules import samples
from workers.notify import rules as notify
from workers.retention import rules as retention
from workers.scaling import client as actuators
from workers.scaling import rules as scaling
from workers.scaling.client import kubernetes, pgbouncer, supabase
from workers.seasons import rules as seasons
from workers.wedding_day import rules as wedding_day
from workers.weddings import rules as weddings

DECLARED: tuple[type[Settable], ...] = (
    Servers,
    weddings.Policy,
    seasons.Policy,
    forecasting.Policy,
    peak_forecast.Policy,
    connections.Policy,
    balancing.Policy,
    supabase_nodes.Policy,
    caching.Policy,
    scaling.Policy,
    actuators.Policy,
    pgbouncer.Policy,
    kubernetes.Policy,
    supabase.Policy,
    metrics.Policy,
    samples.Policy,
    alerts.Policy,
    live_alerts.Policy,
    telling.Runbooks,
    responses.Policy,
    wedding_day.Policy,
    notify.Policy,
    retention.Policy,
)
#: What begins with one of our prefixes and is none of a class: read where it is used.
BESIDE = frozenset(
    {
        "CONNECTIONS_PERMIT_KEYS",
        "METRICS_INGEST_URL",
        "SUPABASE_ANON_KEY",
        "SUPABASE_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "SUPABASE_URL",
        "WEDOPS_CLOCK",
        "WEDOPS_PERMIT",
        "WEDOPS_STATE",
    }
)


def names() -> dict[str, type[Settable]]:
    """Return the class of each variable."""
    return {one.prefix + field.name.upper(): one for one in DECLARED for field in fields(one)}  # type: ignore[arg-type]


def others() -> dict[str, str]:
    """Return the variables of the platform that are taken where ours is not set, with ours."""
    return {variable: one.prefix + name.upper() for one in DECLARED for name, variable in getattr(one, "also", {}).items()}


def switched_off() -> list[str]:
    """Return the switches of the platform that are off: nothing is silent about it."""
    off = {
        "predictive": scaling.Policy,
        "performance": alerts.Policy,
        "wedding_tempo": alerts.Policy,
        "wedding_days": seasons.Policy,
    }
    return [declared.also[name] for name, declared in off.items() if not getattr(read(declared), name)]  # type: ignore[attr-defined]
