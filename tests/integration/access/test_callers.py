"""Callers of the API: keys that are made, rotated and revoked, and tokens of an issuer."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.made import serving
from workers.access import adapters
from workers.access.rules import callers as rules
from workers.access.rules.roles import Role
from workers.access.store import callers as store
from workers.access.usecases import callers
from workers.access.usecases.callers import Asked, CallerInvalid, CallerUnknown, KeyEnded, KeyUnknown
from workers.foundation import clock, database
from workers.foundation.moments import MachineMoment

pytestmark = pytest.mark.usefixtures("world")

NOW = clock.machine_now()
LATER = MachineMoment(NOW + timedelta(hours=2))


def _add(name: str = "planner", *scopes: str, **facts: Any) -> str:
    return callers.add(name, Asked(scopes or ("weddings:read",), **facts), by="ops", now=NOW)


def test_a_key_is_known_by_its_digest_and_says_who_may_do_what() -> None:
    token = _add("planner", "weddings:write", "*:read", supplier_ids=("s1", "s2"))
    found = callers.identify(token, now=NOW)
    assert (found.name, found.supplier_ids, found.is_bounded) == ("planner", ("s1", "s2"), True)
    assert {"weddings:write", "alerts:read"} <= found.scopes
    assert "emergencies:write" not in found.scopes
    [kept] = callers.listing()
    assert kept.used_at == NOW
    assert token.split("_", 2)[2] not in str(kept)
    assert token.startswith("wedops_")


@pytest.mark.parametrize("slip", ["", "nonsense", "wedops_000000000000_" + "a" * 43, "wedops_x_y", "a.b.c"])
def test_who_sends_no_key_of_ours_is_nobody(slip: str) -> None:
    _add()
    with pytest.raises(CallerUnknown):
        callers.identify(slip, now=NOW)


def test_a_key_with_another_ones_secret_is_none() -> None:
    one, other = _add("a"), _add("b")
    with pytest.raises(CallerUnknown):
        callers.identify("_".join((*one.split("_")[:2], other.split("_", 2)[2])), now=NOW)


def test_a_key_ends_when_it_expires_and_when_it_is_revoked() -> None:
    token = _add(lasts=timedelta(hours=1))
    callers.identify(token, now=NOW)
    with pytest.raises(KeyEnded, match="has expired"):
        callers.identify(token, now=LATER)
    token = _add("other")
    callers.revoke("other", by="ops", now=NOW)
    with pytest.raises(KeyEnded, match="is revoked"):
        callers.identify(token, now=NOW)
    with pytest.raises(KeyUnknown):
        callers.revoke("nobody", by="ops", now=NOW)


def test_both_keys_are_good_for_the_overlap() -> None:
    old = _add("planner", "weddings:write", wedding_ids=("w-1",))
    year = timedelta(days=365)
    new = callers.rotate("planner", overlap=timedelta(hours=1), lasts=year, by="ops", now=NOW)
    assert (
        callers.identify(old, now=NOW).wedding_ids == callers.identify(new, now=NOW).wedding_ids == ("w-1",)
    )
    with pytest.raises(KeyEnded):
        callers.identify(old, now=LATER)
    assert callers.identify(new, now=LATER).scopes == {"weddings:write"}
    [first, second] = callers.listing()
    callers.revoke(second.id, by="ops", now=NOW)
    assert callers.identify(old, now=NOW).key == first.id


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("Planner!", Asked(["weddings:read"]), "name: write 1-64 small letters"),
        ("planner", Asked(["weddings:rule"]), "scopes: there is no scope 'weddings:rule'"),
        ("planner", Asked([]), "scopes: name one"),
        ("planner", Asked(["weddings:read"], lasts=timedelta(days=4000)), "lasts: a key lives 398 days"),
    ],
)
def test_what_is_no_caller_is_refused_by_its_field(name: str, asked: Asked, says: str) -> None:
    with pytest.raises(CallerInvalid, match=says):
        callers.add(name, asked, by="ops", now=NOW)
    assert callers.listing() == []


def test_the_api_may_check_keys_and_make_none(enter: Callable[[Role], None]) -> None:
    token = _add()
    enter(Role.API)
    assert callers.identify(token, now=NOW).name == "planner"
    for forbidden in ("INSERT INTO api_keys SELECT * FROM api_keys", "UPDATE api_keys SET scopes = '{x}'"):
        with pytest.raises(Exception, match="permission denied"), database.transaction() as db:
            db.exec_driver_sql(forbidden)


PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
CLAIMS: dict[str, Any] = {"iss": "https://id.example", "aud": "wedops", "sub": "planner"}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key())) | {"kid": "k1", "use": "sig"}
    with serving(lambda *_: (200, json.dumps({"keys": [key]}).encode())) as port:
        monkeypatch.setenv("API_ISSUER_URL", "https://id.example")
        monkeypatch.setenv("API_ISSUER_JWKS", f"http://127.0.0.1:{port}/jwks.json")
        yield


def _token(key: Any = PRIVATE, algorithm: str = "RS256", kid: str = "k1", **facts: Any) -> str:
    claims = {name: value for name, value in (_expiring() | facts).items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def _expiring() -> dict[str, Any]:
    return CLAIMS | {"exp": int(clock.epoch()) + 60}


@pytest.mark.usefixtures("issuer")
def test_a_token_of_the_issuer_says_who_may_do_what() -> None:
    facts = {"scope": "openid weddings:read", "wedops_suppliers": ["s1"]}
    found = callers.identify(_token(**facts), now=NOW)
    assert found == rules.Caller("issuer/planner", "issuer", frozenset({"weddings:read"}), ("s1",))


_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.usefixtures("issuer")
@pytest.mark.parametrize(
    "made",
    [
        lambda: _token(_OTHER),
        lambda: _token(kid="k2"),
        lambda: _token(aud="others"),
        lambda: _token(iss="https://evil.example"),
        lambda: _token(exp=int(clock.epoch()) - 60),
        lambda: _token(exp=None),
        lambda: _token(sub=None),
        lambda: _token(sub="a b"),
        lambda: _token(wedops_suppliers=[]),
        lambda: _token(wedops_weddings="w-1"),
        lambda: _token(scope=["weddings:read"]),
        lambda: _token(algorithm="RS512"),
        lambda: jwt.encode(_expiring(), None, "none", headers={"kid": "k1"}),
    ],
)
def test_a_token_that_is_not_the_issuers_for_us_is_none(made: Callable[[], str]) -> None:
    with pytest.raises(adapters.TokenRefused):
        callers.identify(made(), now=NOW)


@pytest.mark.usefixtures("issuer")
def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """Algorithm confusion: an HMAC by what everybody knows."""
    import base64
    import hmac

    def _part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    said = _part({"alg": "HS256", "kid": "k1"}) + b"." + _part(_expiring())
    mark = base64.urlsafe_b64encode(hmac.digest(PUBLIC, said, "sha256")).rstrip(b"=")
    with pytest.raises(adapters.TokenRefused):
        callers.identify((said + b"." + mark).decode(), now=NOW)


def test_without_an_issuer_its_tokens_are_nobodys() -> None:
    with pytest.raises(CallerUnknown):
        callers.identify(_token(), now=NOW)


@pytest.mark.usefixtures("issuer")
def test_an_issuer_that_does_not_answer_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_ISSUER_JWKS", "http://127.0.0.1:1/jwks.json")
    with pytest.raises(adapters.IssuerUnavailable, match="API_ISSUER_JWKS"):
        callers.identify(_token(), now=NOW)


def test_when_a_key_was_used_is_noted_now_and_then() -> None:
    token = _add()
    callers.identify(token, now=NOW)
    soon = MachineMoment(NOW + timedelta(seconds=5))
    callers.identify(token, now=soon)
    with database.transaction() as db:
        assert store.of(db)[0].used_at == NOW
    callers.identify(token, now=LATER)
    with database.transaction() as db:
        assert store.of(db)[0].used_at == LATER
