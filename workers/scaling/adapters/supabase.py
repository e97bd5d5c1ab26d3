"""How many connections a tenant of a self-hosted Supabase Realtime may have.

`PUT /api/tenants/:id`, which drops nobody. A hosted project's settings are not touched: changing those
disconnects every client.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar
from urllib.parse import quote

import httpx2
import jwt

from workers.foundation import clock, settings
from workers.scaling.adapters.actuators import ActuatorUnreachable, refusal
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.scaling.rules.policy import Resource


@dataclass(frozen=True)
class Policy:
    """`api_url` is the deployment's, with {region} where it differs; `tenant` its id; `api_jwt_secret` its
    API_JWT_SECRET."""

    prefix: ClassVar = "SUPABASE_"

    api_url: str = ""
    tenant: str = "realtime"
    api_jwt_secret: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if self.api_url and not self.api_url.startswith(("http://", "https://")):
            raise ValueError("api_url must start with http:// or https://")
        if "@" in self.api_url:
            raise ValueError("api_url must have no user and password; set SUPABASE_API_JWT_SECRET")


class SupabaseTenant:
    """Sets `max_concurrent_users` to what a region's instances carry."""

    serves = (Resource.INSTANCES,)

    def seen(self, action: Action) -> int | None:
        """Return the instances whose people the tenant lets in.

        None when it is nearly what the action wants.
        """
        found = self._request("GET", action)
        limit, carries = int(found["data"]["max_concurrent_users"]), _carries()
        whole = ceil(limit / carries)
        # A limit beside the steps is not yet what is wanted, and more than the step below it.
        return None if limit % carries and whole == action.to else whole

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Set it; without `extensions`, so that the tenant's database is left alone."""
        limit = action.to * _carries()
        if not dry_run:
            self._request("PUT", action, {"tenant": {"max_concurrent_users": limit}})
        return f"tenant {settings.read(Policy).tenant}: max_concurrent_users={limit}"

    def _request(self, method: str, action: Action, body: Any = None) -> Any:
        policy, now = settings.read(Policy), int(clock.epoch())
        if not policy.api_url or not policy.api_jwt_secret:
            raise refusal("supabase", action, "set SUPABASE_API_URL and SUPABASE_API_JWT_SECRET")
        base = policy.api_url.replace("{region}", quote(action.region, safe="")).rstrip("/")
        url = f"{base}/api/tenants/{policy.tenant}"
        token = jwt.encode({"iat": now, "exp": now + 60}, policy.api_jwt_secret, "HS256")
        try:
            answer = httpx2.request(
                method, url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=3
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ActuatorUnreachable(actuator="supabase", problem=error) from error
        if answer.status_code >= 500:
            raise ActuatorUnreachable(actuator="supabase", problem=f"{url} answered {answer.status_code}")
        if answer.status_code >= 300:
            problem = (
                f"{url} answered {answer.status_code}; see SUPABASE_API_URL, SUPABASE_TENANT, "
                "SUPABASE_API_JWT_SECRET"
            )
            raise refusal("supabase", action, problem)
        return answer.json()


def _carries() -> int:
    return settings.read(ScalingPolicy).connections_per_instance
