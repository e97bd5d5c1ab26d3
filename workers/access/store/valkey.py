"""Users of Valkey: as they are, and made as they should be."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from workers.access.rules.roles import Role
from workers.foundation import redis
from workers.foundation.redis import Client


def line(role: Role, rules: str, secrets: Mapping[str, str]) -> str:
    """Return what defines a role's user in a file of users; of its secrets only their hashes are there."""
    return f"user {role} {' '.join(_words(rules, secrets))}"


def _words(rules: str, secrets: Mapping[str, str]) -> list[str]:
    hashes = [f"#{sha256(secret.encode()).hexdigest()}" for secret in secrets.values()]
    # Made anew in one step: what it had before and should not have is gone, and nobody is cut off meanwhile.
    return ["reset", "on", *hashes, *_split(rules)]


def _split(rules: str) -> list[str]:
    """Return rules one by one; a selector, in brackets, is one of them."""
    words: list[str] = []
    for word in rules.split():
        if words and words[-1].startswith("(") and not words[-1].endswith(")"):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def grant(server: Client, roles: Mapping[Role, tuple[str, Mapping[str, str]]]) -> bool:
    """Give each role its rules and secrets, and take the login of who has no secret.

    Return whether the server keeps it over a restart. Raises NoPermissionError, who is no owner.
    """
    everywhere = {"target_nodes": RedisCluster.ALL_NODES} if redis.is_cluster(server) else {}
    for role, (rules, secrets) in roles.items():
        if secrets:
            server.execute_command("ACL SETUSER", role, *_words(rules, secrets), **everywhere)
        else:
            server.execute_command("ACL DELUSER", role, **everywhere)
    try:
        server.execute_command("ACL SAVE", **everywhere)
    except ResponseError as error:
        if isinstance(error, NoPermissionError):
            raise
        return False
    return True


def differences(server: Client, roles: Mapping[Role, str]) -> Iterator[str]:
    """Yield what users may do beyond their role's rules, and which of them they lack."""
    for role, rules in roles.items():
        if has := server.execute_command("ACL GETUSER", role):
            found, wanted = set(_said(has)), set(_split(rules))
            if more := found - wanted:
                yield f"{role} may do more than its role needs: {' '.join(sorted(more))}"
            if less := wanted - found:
                yield f"{role} may not do what its role needs: {' '.join(sorted(less))}"


def is_open(server: Client) -> bool:
    """Tell whether anybody may come in without a name."""
    found = server.execute_command("ACL GETUSER", "default")
    return "on" in found["flags"] and "nopass" in found["flags"]


def _said(user: Mapping[str, list[Any]]) -> Iterator[str]:
    for part in ("commands", "categories", "keys", "channels"):
        # The order of rules is not kept by the client, and every user begins with nothing.
        yield from (one for one in user[part] if one)
    for selector in user["selectors"]:
        commands, keys, channels = selector[1::2]
        yield f"({' '.join(filter(None, (keys, channels, commands)))})"
