"""How long this process waits for a server: one of ours has time, a person's command has not."""

from collections.abc import Iterator
from contextlib import contextmanager

_patience = 3.0


def hurry() -> None:
    """Have servers answer sooner, for a person waits. Before anything connects."""
    global _patience  # noqa: PLW0603 - a process is either a person's command or one of ours
    _patience = 1.0


def seconds() -> float:
    """Return for how many seconds a call waits for a server."""
    return _patience


_passing = False


@contextmanager
def circuits_passed_by() -> Iterator[None]:
    """Call what is wanted in this block, and open no circuit.

    Somebody who looks for a fault must see the fault itself.
    """
    global _passing  # noqa: PLW0603 - a process is either a person's command or one of ours
    _passing = True
    try:
        yield
    finally:
        _passing = False


def passes_circuits() -> bool:
    """Tell whether circuits are passed by."""
    return _passing
