"""The processes of our own workers.

Celery's pool_grow and pool_shrink, shared out over the workers of the queue `steady`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import ceil
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from workers.app import app
from workers.scaling.adapters.actuators import ActuatorUnreachable, refusal
from workers.scaling.rules.actions import Action
from workers.scaling.rules.policy import Resource

#: Seconds to wait for answers: a worker that does not answer in them is not counted.
PATIENCE = 1.5
WORKERS = "steady@"


class CeleryPool:
    """Grows and shrinks the prefork pools of the workers named steady@….

    One that restarts has its first size again.
    """

    serves = (Resource.WORKER_PROCESSES,)

    def __init__(self) -> None:
        """Begin without having heard of anybody."""
        self._known: set[str] = set()

    def seen(self, action: Action) -> int | None:  # noqa: ARG002 - there is one pool only
        """Return the processes of all of them; None while nobody answers."""
        sizes = self._sizes()
        self._known = set(sizes)
        return sum(sizes.values()) if sizes else None

    def apply(self, action: Action, *, dry_run: bool = False) -> str:
        """Share the processes out evenly, the first workers by name get the odd ones.

        None is left without.
        """
        sizes = self._sizes()
        if not sizes:
            raise ActuatorUnreachable(
                actuator="celery", problem=f"no worker {WORKERS}… answers; start worker-steady"
            )
        if self._known and set(sizes) != self._known:
            # One that is only slow has its processes still: what the others get would be too many.
            self._known = set(sizes)
            raise ActuatorUnreachable(
                actuator="celery", problem="not the same workers answered twice; asked again at the next look"
            )
        if action.to < len(sizes):
            problem = f"each of {len(sizes)} workers keeps one process at least"
            raise refusal("celery", action, problem)
        steps = list(_steps(sizes, action.to))
        for verb, name, by in steps if not dry_run else ():
            control = app.control.pool_grow if verb == "grow" else app.control.pool_shrink
            self._request(partial(control, by, destination=[name], reply=True, timeout=PATIENCE))
        return ", ".join(f"{verb} {name} by {by}" for verb, name, by in steps) or "nothing to change"

    def _sizes(self) -> dict[str, int]:
        answers = (
            self._request(
                lambda: app.control.inspect(timeout=PATIENCE, pattern=f"{WORKERS}*", matcher="glob").stats()
            )
            or {}
        )
        return {name: len(stats["pool"]["processes"]) for name, stats in sorted(answers.items())}

    def _request(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (RedisError, OperationalError) as error:
            raise ActuatorUnreachable(actuator="celery", problem=error) from error


def _steps(sizes: dict[str, int], to: int) -> Iterator[tuple[str, str, int]]:
    left = to
    for number, (name, size) in enumerate(sizes.items()):
        share = ceil(left / (len(sizes) - number))
        left -= share
        if share != size:
            yield ("grow" if share > size else "shrink"), name, abs(share - size)
