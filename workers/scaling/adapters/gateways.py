"""The gateways of a region: they read what is wanted in Redis, obey, and confirm."""

from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource
from workers.scaling.store import gateways


class Gateways:
    """What is wanted of them is published by `store.gateways.publish`; here their confirmation is read."""

    serves = (Resource.INSTANCES, Resource.CONNECTION_POOL)

    def seen(self, action: Action) -> int | None:
        """Return what the action wants once a gateway has confirmed it.

        Of no action what was published and confirmed last.
        """
        if action.id:
            return action.to if action.id <= gateways.confirmed(action.region) else None
        published = gateways.published(action.region)
        return (
            published.get(action.resource)
            if 0 < published.get("action", 0) <= gateways.confirmed(action.region)
            else None
        )

    def apply(self, action: Action, *, dry_run: bool = False) -> str:  # noqa: ARG002 - nothing is done here
        """Do nothing: what is wanted was published, and gateways confirm it."""
        return f"gateways of {action.region} get {action.resource}={action.to}"
