"""Whether a forecaster still knows what it says: what was forecast against what was seen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Fewer pairs say nothing yet.
ENOUGH = 48
#: Below a median error of twice so many people too much costs nothing; where nobody ever came, nobody was
#: measured.
MATTERS, NOBODY = 10.0, 1000.0


class Trust(StrEnum):
    """What is made of a region's forecast: taken as it is, with a wider margin, or not at all.

    One that is EXCESSIVE is taken as it is, for too much costs money and nobody's connection: people are
    told.
    """

    TRUSTED = "trusted"
    WIDER = "wider"
    REACTIVE = "reactive"
    EXCESSIVE = "excessive"


@dataclass(frozen=True)
class Score:
    """How a forecast did over `pairs` steps. `pinball` and `coverage` (share of steps below) are by quantile.

    `bias` is the median's mean error as a share of the mean seen; `wider` by what the 90 % quantile had to be
    multiplied so that 90 % of what was seen lay below it (split conformal: Vovk et al. 2005).
    """

    pairs: int
    pinball: Mapping[str, float]
    coverage: Mapping[str, float]
    bias: float
    wider: float

    @property
    def trust(self) -> Trust:
        """Return how far to trust it.

        With a margin below 85 % instead of 90 %, not at all when that is more than twofold. What is at most
        half of what was said, in the middle and by the 90 % quantile, was said without knowing.
        """
        if self.pairs < ENOUGH:
            return Trust.TRUSTED
        if self.coverage["p90"] >= 0.85:
            known = self.pinball["p50"] >= MATTERS and self.bias < NOBODY
            return Trust.EXCESSIVE if known and self.bias >= 1.0 and self.wider <= 0.5 else Trust.TRUSTED
        return Trust.WIDER if self.wider <= 2.0 else Trust.REACTIVE

    @property
    def margin(self) -> float:
        """Return by what the forecast is multiplied."""
        return max(1.0, self.wider) if self.trust is Trust.WIDER else 1.0


def score(forecast: Mapping[str, Array], seen: Array) -> Score:
    """Return how quantiles (`p10` …, one value a step) did against what was `seen` at those steps.

    Steps at which nothing was forecast and nothing seen say nothing: they are left out.
    """
    busy = (seen >= 1.0) | (forecast["p90"] >= 1.0)
    there = seen[busy]
    if not len(there):
        return Score(0, dict.fromkeys(forecast, 0.0), dict.fromkeys(forecast, 0.0), 0.0, 1.0)
    pinball, coverage = {}, {}
    for name, values in forecast.items():
        quantile, error = int(name.removeprefix("p")) / 100, there - values[busy]
        pinball[name] = float(np.maximum(quantile * error, (quantile - 1) * error).mean())
        coverage[name] = float((error <= 0).mean())
    bias = float((forecast["p50"][busy] - there).mean() / max(there.mean(), 1e-9))
    wider = float(np.quantile(there / np.maximum(forecast["p90"][busy], 1.0), 0.9))
    return Score(len(there), pinball, coverage, bias, wider)
