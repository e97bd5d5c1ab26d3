"""Until when an entry is fresh, when it is loaded anew, and when it may still be served. Pure.

XFetch: who reads an entry loads it anew early when -beta * delta * ln(u) reaches the time it has left, delta
being how long a load takes and u uniform in (0, 1] (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic
cache stampede prevention", VLDB 2015).
"""

from math import log


def lives(ttl: float, jitter: float, drawn: float) -> float:
    """Return for how many seconds an entry is fresh: what expired together would be loaded together.

    `drawn` is uniform in [0, 1).
    """
    return ttl * (1 - jitter * drawn)


def early(fresh_for: float, load: float, beta: float, drawn: float) -> float:
    """Return after how many seconds of `fresh_for` an entry is loaded anew.

    `load` is how long its last load took, in seconds; `drawn` is uniform in (0, 1].
    """
    return max(0.0, fresh_for + beta * load * log(drawn))
