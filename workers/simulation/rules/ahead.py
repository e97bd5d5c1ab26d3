"""How many instances any load that follows events needs, minute by minute. Pure."""

from collections.abc import Sequence
from math import ceil

from workers.forecasting.rules.events import DAY, Array, Event
from workers.forecasting.rules.fitting import fit
from workers.forecasting.rules.peak_forecast import PeakForecast, Policy


class Planner:
    """Has as many instances as carry what the load may climb to before more could be there.

    `boot` is the minutes from order to use, `capacity` the load that an instance carries.
    """

    def __init__(self, *, boot: int, capacity: float, policy: Policy | None = None) -> None:
        """Begin with nothing learned."""
        if capacity <= 0:
            raise ValueError("capacity must be above 0")
        self.boot, self.capacity, self.policy = boot, capacity, policy or Policy()
        self._forecast: PeakForecast | None = None
        self._fitted, self._seen, self._known = 0, 0, 0

    def decide(self, load: Array, start: int, events: Sequence[Event]) -> int:
        """Return the instances to have from now on, 1 or more, after a `load` by minute from `start` on.

        Learns anew each day, and when an event has become known.
        """
        now = start + len(load)
        known = sum(one.known_from <= now for one in events)
        if self._forecast is None or now > self._fitted + DAY or known != self._known:
            fitted = fit(load, start, events, boot=self.boot, unit=self.capacity / 2, policy=self.policy)
            self._forecast = PeakForecast(fitted)
            self._fitted, self._known = now, known
        else:
            for value in load[self._seen - start :]:
                self._forecast.see(float(value))
        self._seen = now
        return max(1, ceil(self._forecast.now() / self.capacity - 1e-9))
