"""Permits: signed, short-lived, for one wedding; keys rotate."""

from datetime import timedelta

import jwt
import pytest

from workers.connections.formats import permits
from workers.connections.formats.permits import Permit, PermitRefused
from workers.foundation import clock
from workers.foundation.settings import SettingInvalid

OLD, NEW = "o" * 32, "n" * 32
ANNA = Permit("u1", "vendor", "w-1", "s1", "florist")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(permits.VARIABLE, f"new:{NEW},old:{OLD}")


def _signed(claims: dict[str, object], secret: str = NEW, kid: str = "new", algorithm: str = "HS256") -> str:
    now = int(clock.epoch())
    whole = {
        "sub": "u1",
        "aud": "wedops",
        "user_type": "guest",
        "wedding_id": "w-1",
        "iat": now,
        "exp": now + 60,
    } | claims
    return jwt.encode(
        {name: value for name, value in whole.items() if value is not None}, secret, algorithm, {"kid": kid}
    )


def test_a_permit_says_who_it_is_for() -> None:
    assert permits.read(permits.issue(ANNA)).who() == ANNA.who()


def test_a_key_that_was_rotated_still_verifies_and_no_longer_signs() -> None:
    found = permits.read(_signed({}, OLD, "old"))
    assert (found.user_id, found.user_type, found.wedding_id, found.key) == ("u1", "guest", "w-1", "old")
    assert jwt.get_unverified_header(permits.issue(ANNA))["kid"] == "new"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (lambda: "", "token_missing"),
        (lambda: "not.a.token", "token_invalid"),
        (lambda: permits.issue(ANNA)[:-4] + "AAAA", "token_invalid"),
        (lambda: permits.issue(ANNA, valid_for=timedelta(minutes=-1)), "token_expired"),
        (lambda: _signed({}, "x" * 32, "stolen"), "token_key_unknown"),
        (lambda: _signed({}, OLD, "new"), "token_invalid"),
        (lambda: _signed({"aud": "others"}), "token_invalid"),
        (lambda: _signed({"exp": None}), "token_invalid"),
        (lambda: _signed({"exp": int(clock.epoch()) + 7200}), "token_invalid"),
        (lambda: _signed({"user_type": "boss"}), "token_invalid"),
        (lambda: _signed({"wedding_id": ["w-1"]}), "token_invalid"),
        (lambda: _signed({"iat": True}), "token_invalid"),
        (lambda: _signed({"iat": "now"}), "token_invalid"),
        (lambda: _signed({"exp": str(int(clock.epoch()) + 600)}), "token_invalid"),
        (lambda: _signed({"exp": float("nan")}), "token_invalid"),
        (lambda: _signed({"exp": 1e308}), "token_invalid"),
        (lambda: _signed({"sub": True}), "token_invalid"),
        (lambda: _signed({}, "n" * 64, "new", "HS512"), "token_invalid"),
        (lambda: jwt.encode({"sub": "u1"}, None, "none", {"kid": "new"}), "token_invalid"),
    ],
)
def test_what_is_no_permit_of_ours_is_refused_with_its_reason(token: object, reason: str) -> None:
    with pytest.raises(PermitRefused) as refused:
        permits.read(token())  # type: ignore[operator]
    assert refused.value.reason == reason


def test_a_permit_is_for_one_wedding() -> None:
    permits.check_wedding(ANNA, "w-1")
    permits.check_wedding(ANNA, None)
    with pytest.raises(PermitRefused, match="wrong_wedding"):
        permits.check_wedding(ANNA, "w-2")


@pytest.mark.parametrize("keys", ["", "short:abc", "nocolon", f"good:{NEW},bad:x"])
def test_keys_that_protect_nothing_are_refused(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv(permits.VARIABLE, keys)
    with pytest.raises(SettingInvalid, match="32 characters or more"):
        permits.keys()
