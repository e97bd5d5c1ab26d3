"""Replicas of a Deployment, through its `/scale`.

A Role for `deployments/scale` on one name suffices, and to list HPAs. The official client is the extra
`kubernetes`. A Deployment that an HPA (or KEDA, which makes one) owns is left alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from workers.foundation import settings
from workers.scaling.adapters.actuators import ActuatorUnreachable, refusal
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource


@dataclass(frozen=True)
class Policy:
    """`deployment` has {region} where it differs. Without `url` the pod's own account is used, or a
    kubeconfig."""

    prefix: ClassVar = "KUBERNETES_"

    namespace: str = "default"
    deployment: str = "realtime-{region}"
    url: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")


class Kubernetes:
    """Scales a region's Deployment."""

    serves = (Resource.INSTANCES, Resource.WORKER_PROCESSES)

    def seen(self, action: Action) -> int | None:
        """Return the replicas that it is to have."""
        return int(self._scale(action).spec.replicas or 0)

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Set the replicas of the version that was read: who changed it since then is not overwritten."""
        policy = settings.read(Policy)
        name, current = self._name(action), self._scale(action)
        self._check_owner(action, name)
        body = {
            "metadata": {"resourceVersion": current.metadata.resource_version},
            "spec": {"replicas": action.to},
        }
        self._request(
            action,
            self._apps.patch_namespaced_deployment_scale,
            name,
            policy.namespace,
            body,
            **({"dry_run": "All"} if dry_run else {}),
        )
        return f"deployment {policy.namespace}/{name}: replicas={action.to}"

    def _name(self, action: Action) -> str:
        return settings.read(Policy).deployment.replace("{region}", action.region)

    def _scale(self, action: Action) -> Any:
        namespace = settings.read(Policy).namespace
        return self._request(
            action, self._apps.read_namespaced_deployment_scale, self._name(action), namespace
        )

    def _check_owner(self, action: Action, name: str) -> None:
        namespace = settings.read(Policy).namespace
        for hpa in self._request(
            action, self._autoscaling.list_namespaced_horizontal_pod_autoscaler, namespace
        ).items:
            target = hpa.spec.scale_target_ref
            if (target.kind, target.name) == ("Deployment", name):
                problem = (
                    f"HPA {hpa.metadata.name} owns {name}; delete it, or let KEDA ask for the figure "
                    "(docs/guides/scaling.md)"
                )
                raise refusal("kubernetes", action, problem)

    def _request(self, action: Action, call: Any, *words: Any, **more: Any) -> Any:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - it takes a second, and few need it
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            return call(*words, **more, _request_timeout=3)
        except HTTPError as error:
            raise ActuatorUnreachable(actuator="kubernetes", problem=error) from error
        except ApiException as error:
            if error.status in (409, 429) or error.status >= 500:
                raise ActuatorUnreachable(
                    actuator="kubernetes", problem=f"{error.status} {error.reason}"
                ) from error
            raise refusal("kubernetes", action, f"{error.status} {error.reason}") from error

    @cached_property
    def _api(self) -> Any:
        try:
            from kubernetes import client, config  # noqa: PLC0415
        except ImportError:
            raise ActuatorUnreachable(
                actuator="kubernetes", problem="install the extra `kubernetes`"
            ) from None
        policy = settings.read(Policy)
        if policy.url:
            given = client.Configuration(
                host=policy.url, api_key={"authorization": f"Bearer {policy.token.strip()}"}
            )
            # Trying again is our own work: its three tries would take four times as long.
            given.retries = False
            return client.ApiClient(given)
        try:
            config.load_config()  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise ActuatorUnreachable(
                actuator="kubernetes", problem=f"{error}; set KUBERNETES_URL and KUBERNETES_TOKEN"
            ) from None
        given = client.Configuration.get_default_copy()
        given.retries = False
        return client.ApiClient(given)

    @cached_property
    def _apps(self) -> Any:
        from kubernetes import client  # noqa: PLC0415

        return client.AppsV1Api(self._api)

    @cached_property
    def _autoscaling(self) -> Any:
        from kubernetes import client  # noqa: PLC0415

        return client.AutoscalingV2Api(self._api)
