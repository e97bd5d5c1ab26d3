"""For whom the database is asked: row level security shows the API what its caller may see.

A claim holds for a transaction. Who claims nothing is shown no wedding's row; the owner and the workers are
shown all whatever they claim.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

#: The settings of a session that the policies read.
WEDDING, SUPPLIER, ALL_WEDDINGS = "wedops.wedding", "wedops.supplier", "wedops.all_weddings"


@dataclass(frozen=True)
class Claims:
    """A wedding, a supplier, or all weddings; of the first two several, with commas between."""

    wedding_id: str = ""
    supplier_id: str = ""
    all_weddings: bool = False

    def settings(self) -> dict[str, str]:
        """Return what is set for a transaction."""
        every = "on" if self.all_weddings else ""
        return {WEDDING: self.wedding_id, SUPPLIER: self.supplier_id, ALL_WEDDINGS: every}


#: For who answers about the system, or reads into what all callers share and asks each of them itself.
EVERYTHING = Claims(all_weddings=True)
_current: ContextVar[Claims | None] = ContextVar("claims", default=None)


def current() -> Claims | None:
    """Return for whom this context asks; None where nobody said so."""
    return _current.get()


def claim(claims: Claims) -> None:
    """Ask for somebody, from now on in this context: a request's."""
    _current.set(claims)


@contextmanager
def claiming(claims: Claims) -> Iterator[None]:
    """Ask for somebody in this block."""
    before = _current.set(claims)
    try:
        yield
    finally:
        _current.reset(before)
