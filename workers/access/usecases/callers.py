"""Callers of the API: their keys, and who somebody is that sends one."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import compare_digest

import jwt

from workers.access import adapters
from workers.access.rules import callers as rules
from workers.access.rules import edge, issuer
from workers.access.rules.callers import Caller, Key
from workers.access.store import callers as store
from workers.access.store import rates
from workers.foundation import database, logs, settings
from workers.foundation.errors import ExpectedError, storable
from workers.foundation.moments import MachineMoment
from workers.weddings.rules.calendar import ID, ID_REMEDY

log = logs.get("access")


class CallerInvalid(ExpectedError):
    """{field}: {problem}"""

    http_status = 422


class CallerUnknown(ExpectedError):
    """no key of a caller was sent, or it is none of ours; send `Authorization: Bearer KEY`
    (`wedops callers add` makes one)"""

    http_status = 401


class KeyEnded(ExpectedError):
    """the key {id} {problem}; use the newer one, or have one made by `wedops callers rotate`"""

    http_status = 401


class KeyUnknown(ExpectedError):
    """nothing is called {what!r}; `wedops callers list` shows callers and keys"""

    http_status = 404


@dataclass(frozen=True)
class Asked:
    """What a new caller may do, of whose weddings, for how long."""

    scopes: Sequence[str]
    supplier_ids: Sequence[str] = ()
    wedding_ids: Sequence[str] = ()
    lasts: timedelta = timedelta(days=365)


def add(name: str, asked: Asked, *, by: str, now: MachineMoment) -> str:
    """Return the key of a new caller, which is shown this once. Raises CallerInvalid."""
    if not rules.NAME.fullmatch(name) or name == rules.ISSUER:
        raise CallerInvalid(field="name", problem=f"write {rules.NAME_REMEDY}; {rules.ISSUER} is taken")
    for id in (*asked.supplier_ids, *asked.wedding_ids):
        if not ID.fullmatch(id):
            raise CallerInvalid(field="bounds", problem=f"{id[:40]!r} is no id: {ID_REMEDY}")
    scopes = _scopes(asked.scopes)
    with database.transaction() as db:
        if store.of(db, name):
            raise CallerInvalid(field="name", problem=f"{name} is known; rotate its key, or choose another")
        bounds = tuple(asked.supplier_ids), tuple(asked.wedding_ids)
        made, token = _made(name, scopes, bounds, asked.lasts, by=by, now=now)
        store.add(db, made)
    log.info("key made", reason="requested", caller=name, key=made.id, by=by)
    return token


def _scopes(asked: Sequence[str]) -> tuple[str, ...]:
    try:
        found = rules.scopes(asked)
    except ValueError as error:
        raise CallerInvalid(field="scopes", problem=str(error)) from error
    if not found:
        raise CallerInvalid(field="scopes", problem="name one at least")
    return found


def _made(
    name: str,
    scopes: tuple[str, ...],
    bounds: tuple[tuple[str, ...], tuple[str, ...]],
    lasts: timedelta,
    *,
    by: str,
    now: MachineMoment,
) -> tuple[Key, str]:
    if not timedelta(0) < lasts <= rules.LASTS_MAX:
        raise CallerInvalid(field="lasts", problem=f"a key lives {rules.LASTS_MAX.days} days at most")
    id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    made = Key(id, name, _digest(secret), scopes, *bounds, now, storable(by), now + lasts)
    return made, rules.token(id, secret)


def _digest(secret: str) -> str:
    # Of 256 random bits, which nobody guesses: a slow hash would cost each request and save nothing.
    return sha256(secret.encode()).hexdigest()


def rotate(name: str, *, overlap: timedelta, lasts: timedelta, by: str, now: MachineMoment) -> str:
    """Return a new key of a caller; its older ones are good for the overlap. Raises KeyUnknown."""
    with database.transaction() as db:
        known = store.of(db, name)
        if not known:
            raise KeyUnknown(what=name[:80])
        newest = known[-1]
        bounds = newest.supplier_ids, newest.wedding_ids
        made, token = _made(name, newest.scopes, bounds, lasts, by=by, now=now)
        store.add(db, made)
        store.end(db, name, made.id, at=now + overlap)
    log.info("key made", reason="rotated", caller=name, key=made.id, by=by)
    return token


def revoke(what: str, *, by: str, now: MachineMoment) -> list[str]:
    """Revoke a key by its id, or all of a caller, at once; return the ids. Raises KeyUnknown."""
    with database.transaction() as db:
        one = store.find(db, what)
        ids = [one.id] if one else [key.id for key in store.of(db, what)]
        if not ids:
            raise KeyUnknown(what=what[:80])
        store.revoke(db, ids, at=now)
    log.warning("keys revoked", reason="requested", keys=ids, by=by)
    return ids


def listing() -> Sequence[Key]:
    """Return all keys, by caller and age."""
    with database.transaction() as db:
        return store.of(db)


def is_one(token: str) -> bool:
    """Tell whether a token is a caller's by its form: a permit is signed by a shared secret, and is none."""
    if rules.parts(token):
        return True
    try:
        return jwt.get_unverified_header(token).get("alg") in issuer.ALGORITHMS
    except (jwt.PyJWTError, RecursionError):
        return False


def identify(token: str, *, now: MachineMoment) -> Caller:
    """Return who sends a key of ours or a token of the issuer's.

    Raises CallerUnknown, KeyEnded, TokenRefused, IssuerUnavailable.
    """
    if parts := rules.parts(token):
        return _of_key(*parts, now=now)
    policy = settings.read(issuer.Policy)
    if policy.url and token.count(".") == 2:
        try:
            return issuer.caller(adapters.claims(token, policy))
        except ValueError as error:
            raise adapters.TokenRefused(problem=str(error)) from error
    raise CallerUnknown


def _of_key(id: str, secret: str, *, now: MachineMoment) -> Caller:
    # Asked each time: a key that is revoked is good for nothing from then on.
    with database.transaction() as db:
        found = store.find(db, id)
        if found is None or not compare_digest(found.digest, _digest(secret)):
            raise CallerUnknown
        if problem := found.problem(now=now):
            raise KeyEnded(id=id, problem=problem)
    _note_used(found, now=now)
    return Caller(found.caller, id, frozenset(found.scopes), found.supplier_ids, found.wedding_ids)


def _note_used(key: Key, *, now: MachineMoment) -> None:
    """Note now and then that a key is used; who only looks must not wait for a database that takes writes."""
    if key.used_at is None or key.used_at < now - store.NOTED:
        with suppress(database.DatabaseUnavailable), database.transaction() as db:
            store.note_used(db, key.id, at=now)


@dataclass(frozen=True)
class Rate:
    """How many calls a caller may make, how many are left of them, and in how many seconds all are again."""

    limit: int
    left: int
    again_in: int


class TooManyCalls(ExpectedError):
    """{caller} calls more than {limit} times a minute; go on in {seconds} s"""

    http_status = 429


def spend(caller: Caller, *, now: MachineMoment) -> Rate:
    """Count a call of somebody, and return what is left of their minute."""
    at = int(now.timestamp())
    limit = settings.read(edge.Policy).calls_per_minute
    made = rates.count(caller.name, at // rates.WINDOW)
    return Rate(limit, limit - made, rates.WINDOW - at % rates.WINDOW)
