"""What a token may send."""

from datetime import UTC, datetime

import pytest

from workers.foundation.moments import MachineMoment
from workers.measurements.rules.limits import OURS, OWN, Policy, Scope
from workers.measurements.rules.samples import Sample, check

NOW = MachineMoment(datetime(2026, 10, 10, 12, tzinfo=UTC))
SECRET = "a-secret-of-sixteen"


def refused(scope: Scope, name: str, **labels: str) -> str:
    sample = Sample(name, tuple(labels.items()), NOW.timestamp(), 1.0)
    return " ".join(check([sample], Policy(), scope, now=NOW).refused)


@pytest.mark.parametrize("name", sorted(OWN))
def test_what_starts_responses_to_outages_is_ours_to_say(name: str) -> None:
    assert "measured by ourselves" in refused(Scope(), name, region="us-west")
    assert not refused(Scope(own=True), name, region="us-west")
    assert not refused(OURS, name, region="us-west")


@pytest.mark.parametrize(
    ("scope", "labels", "says"),
    [
        (Scope(series=("photo_*",)), {}, "not among the token's series (photo_*)"),
        (Scope(regions=("us-west",)), {"region": "us-east"}, "for region us-west only"),
        (Scope(regions=("us-west",)), {}, "for region us-west only"),
        (Scope(weddings=("w-1", "w-2*")), {"wedding_id": "w-3"}, "for wedding_id w-1, w-2* only"),
        (Scope(), {"region": "everywhere"}, "one region's name"),
    ],
)
def test_a_token_sends_what_it_is_for(scope: Scope, labels: dict[str, str], says: str) -> None:
    assert says in refused(scope, "guest_list_seconds", **labels)


def test_what_it_is_for_goes_through() -> None:
    scope = Scope(("guest_*",), ("us-*",), ("w-1",))
    assert not refused(scope, "guest_list_seconds", region="us-west", wedding_id="w-1")


def test_a_scope_of_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="scopes names 'photo', which is no token; tokens has photos"):
        Policy(tokens=f"photos:{SECRET}", scopes={"photo": Scope()})
