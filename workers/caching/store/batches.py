"""Many entries at once: loaded in one go, by who gets their leases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from workers.caching import keys
from workers.caching.formats import envelope
from workers.caching.formats.envelope import Envelope, Poisoned
from workers.caching.store import server
from workers.caching.store.entries import Loaded, Warmth
from workers.caching.store.layers import TwoLayers
from workers.caching.store.local import Key
from workers.foundation import clock

#: An entry that lives for this share of what is wanted is not loaded again.
_NEARLY = 0.8

LoadAll = Callable[[Sequence[Key]], Mapping[Key, Loaded]]


@dataclass(frozen=True)
class Wanted:
    """An entry that is to be warm for so many seconds, for a wedding's sake."""

    key: Key
    wedding_id: str
    lives: float

    @property
    def name(self) -> str:
        """Return what the entry is called."""
        return keys.name(*self.key)


@dataclass(frozen=True)
class Warmed:
    """Entries that were `loaded`, and those that `stay`, from an earlier warm-up of the same wedding.

    `nothing` are weddings of which no entry could be written: another loads them, or they took too long.
    """

    loaded: list[Wanted]
    stay: list[Wanted]
    nothing: set[str]


def warm(cache: TwoLayers, wanted: Sequence[Wanted], load: LoadAll) -> Warmed:
    """Have entries in the server for as long as they are wanted; return those that are.

    What another process loads at this moment is left to it, and what is loaded is not of more use to this
    process than to others: no copy is held.
    """
    now_ms = int(cache.changes.now() * 1000)
    each = _once(wanted)
    there = _there([one.name for one in each])
    missing, stay = list[Wanted](), list[Wanted]()
    for one in each:
        found = there.get(one.name)
        if found is None or found[0].fresh < now_ms + one.lives * 1000 * _NEARLY:
            missing.append(one)
        elif found[0].warm == one.wedding_id:
            stay.append(one)
    token = uuid4().hex
    has = {one.name: there[one.name][1] if one.name in there else "" for one in missing}
    taken = server.take(has, token, lasts_ms=cache.lease_ms)
    ours = [one for one, answer in zip(missing, taken, strict=True) if answer.may_load]
    loaded = _fill(cache, ours, token, load)
    written = {one.wedding_id for one in (*loaded, *stay)}
    return Warmed(loaded, stay, {one.wedding_id for one in missing} - written)


def _once(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return each entry once: one of two weddings is the first one's, for as long as both want it."""
    found: dict[str, Wanted] = {}
    for one in wanted:
        first = found.setdefault(one.name, one)
        found[one.name] = replace(first, lives=max(first.lives, one.lives))
    return list(found.values())


def _there(names: Sequence[str]) -> dict[str, tuple[Envelope, str]]:
    found = {}
    for name, text in server.get_all(names).items():
        try:
            found[name] = envelope.read(name, text), envelope.checksum(text)
        except Poisoned:
            continue
    return found


def _fill(cache: TwoLayers, ours: Sequence[Wanted], token: str, load: LoadAll) -> list[Wanted]:
    begun = clock.stopwatch()
    try:
        loaded = load([one.key for one in ours]) if ours else {}
    except BaseException:
        server.drop_leases([one.name for one in ours], token)
        raise
    each = (clock.stopwatch() - begun) / max(1, len(ours))
    fillings = (
        cache.made(one.key, loaded[one.key], token, load=each, warmth=Warmth(one.wedding_id, one.lives))[1]
        for one in ours
    )
    answers = server.fill(fillings)
    return [one for one, answer in zip(ours, answers, strict=True) if answer == 1]
