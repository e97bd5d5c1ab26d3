"""How many series a token and a wedding may begin in a day."""

import pytest

from workers.foundation import clock
from workers.measurements.rules.limits import Scope
from workers.measurements.rules.samples import Sample
from workers.measurements.store import budgets
from workers.measurements.usecases import intake
from workers.measurements.usecases.intake import Source, Taken

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets._known.clear()
    monkeypatch.setenv("METRICS_INGEST_SERIES_MAX", "5")
    monkeypatch.setenv("METRICS_INGEST_WEDDING_SERIES_MAX", "3")


def push(name: str, *series: dict[str, str]) -> Taken:
    now = clock.machine_now()
    samples = [Sample("a_seconds", tuple(labels.items()), now.timestamp(), 1.0) for labels in series]
    return intake.take(samples, sent_by=Source(name, Scope()), now=now)


def kinds(*names: str) -> list[dict[str, str]]:
    return [{"kind": name} for name in names]


def test_a_token_begins_so_many_series_a_day_and_goes_on_with_those(monkeypatch: pytest.MonkeyPatch) -> None:
    assert push("photos", *kinds("a", "b", "c", "d")).accepted == 4
    taken = push("photos", *kinds("d", "e", "f", "g"))
    assert taken.accepted == 2
    [(why, many)] = taken.refused.items()
    assert many == 2
    assert "5 series a day at most" in why
    assert "METRICS_INGEST_SERIES_MAX" in why
    # What another process began counts as well, and what was begun goes on.
    budgets._known.clear()
    assert push("photos", *kinds("a", "e")).accepted == 2
    assert push("photos", *kinds("z")).accepted == 0
    # Another token's are its own; ours have no limit.
    assert push("guests", *kinds("z")).accepted == 1
    ours = [Sample("b_seconds", (("kind", str(one)),), clock.epoch(), 1.0) for one in range(9)]
    assert intake.take(ours, sent_by=Source("probe"), now=clock.machine_now()).accepted == 9


def test_a_wedding_begins_so_many_whoever_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    of = [{"kind": kind, "wedding_id": "w-1"} for kind in "abcd"]
    assert push("photos", *of[:2]).accepted == 2
    assert push("guests", *of[2:]).accepted == 1
    assert push("guests", {"kind": "a", "wedding_id": "w-2"}).accepted == 1
    # What a wedding has no room for uses nothing of a token's.
    assert push("guests", *kinds("x", "y", "z")).accepted == 3
