"""What a warm-up loads, how fast, and what it was worth. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: What was never asked for is taken to be asked for, by this many past weddings.
_PRIOR = 5.0
#: A class of entries that fewer than this share of are asked for is not loaded ahead.
WORTH = 0.3
#: The class that is loaded ahead whatever was learned.
ALWAYS = "wedding"
#: A batch that takes this many times as long as usual, and so many seconds, says that something is busy.
_SLOW, _LONG = 3.0, 0.2
#: In seconds, the shortest and the longest pause; and after which pause a run ends.
PAUSES = (0.01, 2.0)


@dataclass(frozen=True)
class ClassOutcome:
    """Of a class of a wedding's entries: how many there are, were warmed, of these read, and missed.

    `hits` and `misses` are reads of the first minutes.
    """

    of: int = 0
    warmed: int = 0
    read: int = 0
    hits: int = 0
    misses: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a warm-up was worth, by class of entries."""

    classes: Mapping[str, ClassOutcome]

    @property
    def precision(self) -> float | None:
        """Return which share of what was warmed was read before it expired; None when nothing was warmed."""
        warmed = sum(one.warmed for one in self.classes.values())
        return sum(one.read for one in self.classes.values()) / warmed if warmed else None

    @property
    def recall(self) -> float | None:
        """Return which share of the first minutes' reads hit; None when nobody read."""
        hits = sum(one.hits for one in self.classes.values())
        reads = hits + sum(one.misses for one in self.classes.values())
        return hits / reads if reads else None


def shares(past: Iterable[Mapping[str, ClassOutcome]]) -> dict[str, float]:
    """Return which share of each class is asked for, by what was asked for at past weddings.

    Where nobody came while it was warm, nothing is learned.
    """
    asked: dict[str, float] = {}
    there: dict[str, float] = {}
    for classes in past:
        if not any(one.read or one.misses for one in classes.values()):
            continue
        for name, one in classes.items():
            # What was not warmed and is asked for is missed, once an entry at least.
            missed = min(one.misses, one.of - one.warmed)
            asked[name] = asked.get(name, _PRIOR) + (one.read + missed) / max(1, one.of)
            there[name] = there.get(name, _PRIOR) + 1
    return {name: asked[name] / there[name] for name in asked}


def is_worth(name: str, learned: Mapping[str, float]) -> bool:
    """Tell whether entries of a class are to be loaded ahead.

    The wedding's own always is: as long as something of it is warm, what is missed is learned.
    """
    return name == ALWAYS or learned.get(name, 1.0) >= WORTH


def next_pause(pause: float, *, took: float, usual: float) -> float:
    """Return for how many seconds to pause after a batch: twice as long when it was slow, else a little less.

    Additive increase of the rate and multiplicative decrease, as TCP has it (Chiu and Jain, 1989).
    """
    shortest, longest = PAUSES
    if took > _SLOW * usual and took > _LONG:
        return min(longest, 2 * pause)
    return max(shortest, 0.9 * pause)
