"""What proves a sender, and what does not."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.app import app
from workers.foundation import clock, signatures
from workers.foundation.signatures import NotOffered, Policy

OURS, PLANNER, NEXT = (f"{name}-secret-of-32-characters-or-more" for name in ("our", "planner", "next"))
RULES = Policy(f"wedops:{OURS},planner:{NEXT},planner:{PLANNER}", "required")


def message(**headers: Any) -> dict[str, Any]:
    body = base64.b64encode(json.dumps([[], {"wedding_id": "w-1"}, {}]).encode()).decode()
    return {"body": body, "headers": {"task": "caching.warm_up", "id": "i-1", **headers}}


def signed(caller: str = "wedops", **headers: Any) -> dict[str, Any]:
    found = message(**headers)
    signatures.sign(found, RULES.keys, caller=caller)
    return found


@pytest.mark.parametrize("caller", ["wedops", "planner"])
def test_what_a_caller_signed_is_theirs(caller: str) -> None:
    assert (
        signatures.problem(
            signed(caller, expires="2026-10-10T12:00:00Z", job={"name": "a", "due": 1.5}), RULES
        )
        is None
    )


def test_a_service_signs_as_the_documents_say() -> None:
    """The lines, written down once more: what other languages do."""
    found, at = message(), clock.machine_now().isoformat()
    lines = ["v1", "planner", at, "caching.warm_up", "i-1", "", "", "", found["body"]]
    mac = hmac.new(PLANNER.encode(), "\n".join(lines).encode(), "sha256").hexdigest()
    found["headers"]["signature"] = {"caller": "planner", "at": at, "mac": mac}
    assert signatures.problem(found, RULES) is None


@given(
    where=st.sampled_from(["task", "id", "expires", "eta", "job", "body", "caller", "at", "mac"]),
    value=st.text(max_size=40),
)
def test_nothing_that_is_signed_can_be_changed(where: str, value: str) -> None:
    found = signed()
    place = found if where == "body" else found["headers"]
    place = found["headers"]["signature"] if where in ("caller", "at", "mac") else place
    if (place.get(where) or "") == value:
        return
    place[where] = value
    assert signatures.problem(found, RULES)


@pytest.mark.parametrize(
    "signature", ["", 1, [], {}, {"caller": "planner"}, {"caller": 1, "at": 2, "mac": 3}]
)
def test_what_is_no_signature_is_refused_even_where_none_is_needed(signature: Any) -> None:
    assert signatures.problem(message(signature=signature), Policy(RULES.keys, "optional"))


def test_none_is_needed_until_it_is_required() -> None:
    assert signatures.problem(message(), Policy(RULES.keys)) is None
    assert "not signed" in str(signatures.problem(message(), RULES))


def test_the_key_of_somebody_else_signs_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    found = message()
    signatures.sign(found, f"planner:{OURS}", caller="planner")
    assert "no key" in str(signatures.problem(found, RULES))


def test_both_keys_count_while_they_rotate() -> None:
    for key in (PLANNER, NEXT):
        found = message()
        signatures.sign(found, f"planner:{key}", caller="planner")
        assert signatures.problem(found, RULES) is None
        assert (signatures.problem(found, Policy(f"wedops:{OURS},planner:{NEXT}")) is None) == (key == NEXT)


@pytest.mark.parametrize("age", [timedelta(days=1, minutes=1), -timedelta(minutes=6)])
def test_what_was_signed_too_long_ago_is_refused(age: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.fromtimestamp(clock.epoch(), UTC) - age
    with monkeypatch.context() as patched:
        patched.setattr(clock, "machine_now", lambda: then)
        found = signed()
    assert "sign it anew" in str(signatures.problem(found, RULES))


@pytest.mark.parametrize(
    ("keys", "mode", "says"),
    [
        ("planner:short", "optional", "32 characters"),
        (f":{OURS}", "optional", "caller:secret"),
        (f"planner:{PLANNER}", "required", "our own messages would be refused"),
        ("", "always", "optional or required"),
    ],
)
def test_what_lets_nobody_in_or_everybody_is_no_setting(keys: str, mode: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Policy(keys, mode)


def test_others_send_what_is_offered_and_nothing_else() -> None:
    app.loader.import_default_modules()
    with signatures.sent_by({"caller": "planner"}):
        signatures.check_offered("caching.warm_up")
        with pytest.raises(NotOffered, match="scaling.decide"):
            signatures.check_offered("scaling.decide")
    for sender in (None, {"caller": signatures.OWN}):
        with signatures.sent_by(sender):
            signatures.check_offered("scaling.decide")
