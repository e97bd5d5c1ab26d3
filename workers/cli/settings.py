"""Every setting there is, by the class that declares it.

What `doctor` checks, and the reference is made from.
"""

from dataclasses import fields

from workers.access.rules import edge, issuer, roles
from workers.alerts import adapters as live_alerts
from workers.alerts.rules import lifecycle as alerts
from workers.alerts.usecases import surroundings
from workers.balancing import rules as balancing
from workers.balancing.adapters import supabase as supabase_nodes
from workers.caching.rules import kinds as caching
from workers.connections.rules import admission as connections
from workers.delivery import adapters as urgent_broadcasts
from workers.delivery import rules as delivery
from workers.emergencies import rules as emergencies
from workers.forecasting.rules import forecast as forecasting
from workers.forecasting.rules import peak_forecast
from workers.foundation import settings, signatures
from workers.foundation.settings import Servers, Settable
from workers.journal import rules as journal
from workers.measurements.rules import keeping, limits
from workers.notify import rules as notify
from workers.responses import rules as responses
from workers.retention import rules as retention
from workers.scaling.adapters import actuators, kubernetes, pgbouncer, supabase
from workers.scaling.rules.policy import Policy
from workers.seasons.rules import season as seasons
from workers.snapshots import rules as snapshots
from workers.wedding_day.rules import deviations, optimising, weather
from workers.wedding_day.rules import looks as wedding_day
from workers.weddings.rules import calendar as weddings
from workers.weddings.rules import gate, modes

DECLARED: tuple[type[Settable], ...] = (
    Servers,
    roles.Logins,
    edge.Policy,
    issuer.Policy,
    signatures.Policy,
    weddings.Policy,
    gate.Policy,
    modes.Policy,
    seasons.Policy,
    forecasting.Policy,
    peak_forecast.Policy,
    connections.Policy,
    balancing.Policy,
    supabase_nodes.Policy,
    caching.Policy,
    delivery.Policy,
    urgent_broadcasts.Policy,
    Policy,
    actuators.Policy,
    pgbouncer.Policy,
    kubernetes.Policy,
    supabase.Policy,
    snapshots.Policy,
    keeping.Policy,
    limits.Policy,
    alerts.Policy,
    live_alerts.Policy,
    surroundings.Runbooks,
    responses.Policy,
    emergencies.Policy,
    wedding_day.Policy,
    deviations.Policy,
    weather.Policy,
    optimising.Policy,
    notify.Policy,
    journal.Policy,
    retention.Policy,
)
#: What begins with one of our prefixes and is none of a class, read where it is used; and what it is for.
BESIDE = {
    "API_ADDRESS": "where the API listens; by default 127.0.0.1",
    "API_PORT": "at which port; by default 8000",
    "CONNECTIONS_PERMIT_KEYS": "the secrets that sign permits, `new:secret,old:secret`; 32 characters or "
    "more each",
    "METRICS_INGEST_URL": "where the demo pushes what it measures",
    "SUPABASE_ANON_KEY": "the platform's own; `wedops listen` takes it where `SUPABASE_KEY` is not set",
    "SUPABASE_KEY": "with which `wedops listen` joins the weddings' channels",
    "SUPABASE_SERVICE_ROLE_KEY": "the platform's own: with it live alerts go to the project's broadcasts",
    "SUPABASE_URL": "the platform's own: the project that `wedops listen` and live alerts use",
    "WEDOPS_CLOCK": "the demo's clock: which moment it began at, and how fast it runs",
    "WEDOPS_PERMIT": "a permit for who joins a gateway by hand",
    "WEDOPS_STATE": "where `wedops up` keeps its data; below `~/.local/state`, for root `/var/lib`",
}


def names() -> dict[str, type[Settable]]:
    """Return the class of each variable."""
    return {one.prefix + field.name.upper(): one for one in DECLARED for field in fields(one)}  # type: ignore[arg-type]


def platform() -> set[str]:
    """Return the variables of the platform that are taken where ours is not set."""
    return {variable for one in DECLARED for variable in getattr(one, "also", {}).values()}


def former() -> dict[str, list[str]]:
    """Return what each variable of before is called now: where rooms were split, in each."""
    found: dict[str, list[str]] = {}
    for name, one in names().items():
        for older in settings.former(one, name.removeprefix(one.prefix).lower()):
            found.setdefault(older, []).append(name)
    return found
