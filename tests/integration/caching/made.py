"""What the cache's tests share."""

from collections.abc import Callable
from typing import Any

from tests.made import eventually
from workers.caching.rules.kinds import Policy
from workers.caching.store.entries import Loaded
from workers.caching.store.layers import TwoLayers

BODY = {"starts_at": "2026-10-10T18:00:00+00:00", "ends_at": "2026-10-11T02:00:00+00:00"}


def body(**facts: Any) -> dict[str, Any]:
    """Return a wedding's body."""
    return {**BODY, "region": "us-west", "timeline": {}, **facts}


_open: list[TwoLayers] = []


def process(**settings: Any) -> TwoLayers:
    """Return the cache of another process, once it hears of changes."""
    made = TwoLayers(Policy(**settings))
    _open.append(made)
    assert eventually(lambda: made.changes.connected)
    return made


def end_processes() -> None:
    """End all of them."""
    while _open:
        _open.pop().close()


def loading(value: Any, revision: int = 1) -> Callable[[], Loaded]:
    """Return a load of a value."""
    return lambda: Loaded(value, revision)


def fail() -> Loaded:
    """Be loaded where nothing should be."""
    raise AssertionError("loaded though it was there")
