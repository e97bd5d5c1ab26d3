"""How long before a wedding what it needs is ordered. Pure."""

from datetime import timedelta

from workers.scaling.rules.policy import Policy
from workers.seasons.rules.venues import PROFILES
from workers.weddings.rules.calendar import Wedding


def lead(policy: Policy, wedding: Wedding) -> timedelta:
    """Return how long before a wedding its capacity is ordered.

    The policy's lead, or a longer one of its kind of venue.
    """
    return max(policy.lead, PROFILES[wedding.venue_type].lead)


def longest_lead(policy: Policy) -> timedelta:
    """Return the longest lead that any wedding may have."""
    return max(policy.lead, *(profile.lead for profile in PROFILES.values()))
