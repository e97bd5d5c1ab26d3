"""Names of time zones as calendars write them, into IANA's."""

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from workers.weddings.rules.calendar import ZONES

_IANA = {zone.casefold(): zone for zone in ZONES}
_WINDOWS = {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}


def iana(name: str) -> str:
    """Return the IANA name of a zone.

    As such, as Windows has it, or with a vendor's prefix; what is unknown as it stands. Vendors put a path
    before it, as `/mozilla.org/20050126_1/Europe/Berlin`.
    """
    plain = name.strip().strip('"').strip()
    folded = plain.casefold()
    if folded in _WINDOWS:
        return _WINDOWS[folded]
    parts = folded.strip("/").split("/")
    suffixes = ("/".join(parts[first:]) for first in range(len(parts)))
    return next((_IANA[suffix] for suffix in suffixes if suffix in _IANA), plain)


def is_fixed(zone: str) -> bool:
    """Tell whether a zone is a mere offset, as EST or Etc/GMT+5.

    No place where people marry keeps it all year by that name.
    """
    return zone.startswith("Etc/") or zone in _OFFSETS


_OFFSETS = frozenset(
    {"EST", "MST", "HST", "GMT", "GMT0", "GMT+0", "GMT-0", "UTC", "UCT", "Zulu", "Universal", "Greenwich"}
)
