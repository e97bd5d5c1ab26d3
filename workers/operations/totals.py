"""How much of each thing there was: what `wedops up` says when it ends."""

from workers.alerts.store import alerts
from workers.caching.store import results as caching
from workers.forecasting.store import forecasts
from workers.foundation import database
from workers.scaling.store import actions
from workers.seasons import store as seasons


def totals() -> dict[str, object]:
    """Return the season of each region, and how many forecasts, actions, alerts and warm-ups there are."""
    with database.transaction() as db:
        return {
            "seasons": {region: str(season) for region, season in seasons.current(db).items()},
            "forecasts": forecasts.count(db),
            "scaling_actions": actions.count(db),
            "alerts": alerts.count(db),
            "warm_ups": caching.count(db, caching.WARM_UP),
        }
