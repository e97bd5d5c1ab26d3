"""What may be measured: checked by field, and nobody's name or number gets in."""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import NOON
from workers.measurements.rules.limits import Policy
from workers.measurements.rules.samples import Sample, apart, check, from_json, parts, series

POLICY = Policy()


def _sample(
    name: str = "photo_upload_seconds", value: float = 1.0, at: float = NOON.timestamp(), **labels: str
) -> Sample:
    return Sample(name, tuple(labels.items()), at, value)


def test_samples_of_a_series_share_its_text_whatever_the_order_of_their_labels() -> None:
    batch = check(
        [_sample(region="us-west", phase="setup"), _sample(phase="setup", region="us-west")], POLICY, now=NOON
    )
    assert batch.series == ['photo_upload_seconds{phase="setup",region="us-west"}']
    assert batch.rows["series"].tolist() == [0, 0]
    assert batch.rows["at"].tolist() == [int(NOON.timestamp() * 1e6)] * 2
    assert not batch.refused


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (_sample(guest_name="Ada"), "label 'guest_name' is not allowed"),
        (_sample(email="a"), "label 'email' is not allowed"),
        (_sample(region="ada@example.com"), "the value of region must be 1-128 letters"),
        (_sample(service="+49 170 1234567"), "nobody's address or number"),
        (_sample(service="+491701234567"), "nobody's address or number"),
        (_sample(service="x" * 129), "128 letters"),
        (_sample(name="9lives"), "begin with a letter"),
        (_sample(name=""), "begin with a letter"),
        (_sample(value=float("nan")), "finite number"),
        (_sample(value=float("inf")), "finite number"),
        (_sample(at=NOON.timestamp() - 3601), "within 1:00:00 before"),
        (_sample(at=NOON.timestamp() + 301), "0:05:00 after now"),
    ],
)
def test_what_may_not_be_stored_is_counted_by_why_and_the_rest_is_taken(sample: Sample, why: str) -> None:
    batch = check([_sample(), sample, sample], POLICY, now=NOON)
    assert len(batch.rows) == 1
    [(reason, count)] = batch.refused.items()
    assert why in reason
    assert count == 2


def test_more_labels_may_be_allowed_by_name() -> None:
    assert (
        check([_sample(table_number="7")], Policy(more_labels="table_number seat"), now=NOON).refused
        == Counter()
    )


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, "samples"),
        ([], "samples"),
        ({"samples": 3}, "samples"),
        ({"samples": [{"name": "a", "value": 1}] * 10_001}, "send 10000 at once"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_by_field(document: Any, field: str) -> None:
    with pytest.raises(ValueError, match=field.replace(".", r"\.")):
        from_json(document, POLICY, now=NOON)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"samples": [{"name": "a", "value": 1}, {"value": 1}]}, "samples.1.name"),
        ({"samples": [{"name": "a"}]}, "samples.0.value"),
        ({"samples": [{"name": "a", "value": True}]}, "samples.0.value"),
        ({"samples": [{"name": "a", "value": "1"}]}, "samples.0.value"),
        ({"samples": [{"name": "a", "value": 1, "labels": {"region": 1}}]}, "samples.0.labels"),
        ({"samples": [{"name": "a", "value": 1, "at": "yesterday"}]}, "samples.0.at"),
        ({"samples": [{"name": "a", "value": 1, "at": "2026-10-10T12:00:00"}]}, "samples.0.at"),
        ({"samples": [{"name": "a", "value": 10**400}]}, "samples.0"),
        ({"samples": [{"name": "a", "value": None}]}, "samples.0.value"),
    ],
)
def test_a_sample_that_is_none_costs_itself_and_is_named(document: Any, field: str) -> None:
    document["samples"].append({"name": "b", "value": 1})
    found, refused = from_json(document, POLICY, now=NOON)
    assert found[-1].name == "b"
    [why] = refused
    assert field in why


def test_samples_of_one_series_without_a_time_are_all_kept() -> None:
    found, _ = from_json({"samples": [{"name": "a", "value": n} for n in range(1000)]}, POLICY, now=NOON)
    assert len(set(check(apart(found, now=NOON), POLICY, now=NOON).rows["at"].tolist())) == 1000


def test_a_moment_may_be_a_number_a_text_or_left_out() -> None:
    later = NOON + timedelta(minutes=1)
    given = [{"name": "a", "value": 1, "at": at} for at in (later.timestamp(), later.isoformat())]
    found, _ = from_json({"samples": [*given, {"name": "a", "value": 2}]}, POLICY, now=NOON)
    assert [one.at for one in found] == [later.timestamp(), later.timestamp(), NOON.timestamp()]


@given(
    st.dictionaries(
        st.sampled_from(["region", "phase", "node"]), st.text("abc09.:/-", min_size=1, max_size=8)
    )
)
def test_a_series_text_says_all_that_it_was_made_of(labels: dict[str, str]) -> None:
    text, problem = series("a_name", tuple(labels.items()))
    if not problem:
        assert parts(text) == ("a_name", labels)


@pytest.mark.parametrize("tokens", ["short:secret", "no-colon-but-very-long-indeed"])
def test_a_token_that_is_none_is_refused_without_being_told(tokens: str) -> None:
    with pytest.raises(ValueError, match="16 characters") as caught:
        Policy(tokens=tokens)
    assert tokens not in str(caught.value)


def test_no_sample_is_an_empty_batch() -> None:
    assert np.array_equal(check([], POLICY, now=NOON).rows["value"], [])
