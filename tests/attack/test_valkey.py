"""Each role on Valkey: what it must not do is refused, and what it needs is not."""

import re
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tests.conftest import LOGINS
from tests.made import connection
from workers.access.rules.roles import Logins, Role
from workers.access.store import users as rules
from workers.access.store.users import GATEWAY_CALLS, Server
from workers.access.usecases import grants
from workers.connections import keys as connections
from workers.connections.store import registry
from workers.delivery.keys import URGENT
from workers.foundation import keys, redis, settings

INSIDE = {Role.WORKER, Role.OPERATOR}
#: What takes messages out of a queue, or looks into them.
_TAKES: list[tuple[str, ...]] = [
    ("BRPOP", "emergency", "1"),
    ("RPOP", "emergency"),
    ("LPOP", "emergency"),
    ("LRANGE", "emergency", "0", "-1"),
    ("LTRIM", "emergency", "1", "0"),
    ("LMOVE", "emergency", "bulk", "LEFT", "LEFT"),
    ("DEL", "emergency"),
    ("UNLINK", "emergency"),
    ("SET", "emergency", "x"),
    ("RENAME", "emergency", "bulk"),
]
#: By role, what it must not do on the server of broker and connections.
FORBIDDEN: dict[Role, list[tuple[str, ...]]] = {
    Role.GATEWAY: [
        ("LPUSH", "emergency", "{}"),
        ("LRANGE", "emergency", "0", "-1"),
        ("GET", keys.job("connections.sweep")),
        ("HSET", connections.LEVELS, "guest", "{}"),
        ("HSET", connections.MODES, "everywhere", "{}"),
        ("HSET", f"{connections.DESIRED}us-west", "connection_limit", "0"),
        ("PUBLISH", f"{URGENT}w-1", "{}"),
        ("PUBLISH", connections.SERVICE, ""),
        ("PUBLISH", connections.DESIRED_CHANGED, "us-west"),
        ("PUBLISH", "/0.celery.pidbox", "{}"),
        ("PSUBSCRIBE", "*"),
        ("HSET", "wedops:{nodes}:places", "w-1", "n1"),
        ("SADD", "wedops:{nodes}:drained", "n1"),
        ("SET", "wedops:{1}:limits", "{}"),
        ("DEL", "wedops:{1}:limits"),
        ("XREAD", "STREAMS", "wedops:metrics:stream", "0"),
        ("XADD", "wedops:metrics:stream", "*", "a", "b"),
        ("SCAN", "0"),
    ],
    Role.BEAT: [
        *_TAKES,
        ("FUNCTION", "LOAD", "REPLACE", "#!lua name=wedops_foundation"),
        ("FCALL", "wedops_evict", "1", "wedops:{1}", "n1", "0", "100"),
        ("HDEL", connections.REVOKED, "user:u"),
        ("HSET", connections.MODES, "everywhere", "{}"),
        ("SADD", "_kombu.binding.celery.pidbox", "x"),
        ("PUBLISH", "/0.celery.pidbox", "{}"),
        ("PUBLISH", f"{URGENT}w-1", "{}"),
        ("SREM", "_kombu.binding.emergency", "emergency"),
        ("DEL", "unacked"),
    ],
    Role.API: [
        *_TAKES,
        ("FCALL", "wedops_evict", "1", "wedops:{1}", "n1", "0", "100"),
        ("HDEL", connections.REVOKED, "user:u"),
        ("HSET", connections.MODES, "everywhere", "{}"),
        ("HSET", f"{connections.DESIRED}us-west", "connection_limit", "0"),
        ("SADD", "_kombu.binding.celery.pidbox", "x"),
        ("CONFIG", "GET", "requirepass"),
        ("PUBLISH", "/0.celery.pidbox", "{}"),
        ("SREM", "_kombu.binding.emergency", "emergency"),
        ("DEL", "_kombu.binding.emergency"),
        ("FUNCTION", "LOAD", "REPLACE", "#!lua name=wedops_foundation"),
        ("EVAL", "return 1", "0"),
    ],
    Role.READER: [
        ("HGETALL", f"{connections.PRESENT}w-1"),
        ("XRANGE", keys.DEAD_LETTERS, "-", "+"),
        ("HGETALL", "wedops:{1}:t:w-1"),
        ("SET", "wedops:health", "1"),
        ("LPUSH", "emergency", "{}"),
        ("LRANGE", "emergency", "0", "-1"),
        ("FCALL", "wedops_sweep", "1", "wedops:{1}", "0", "10"),
        ("FCALL_RO", "wedops_sweep", "1", "wedops:{1}", "0", "10"),
        ("SUBSCRIBE", f"{URGENT}w-1"),
    ],
    Role.EXPORTER: [
        ("SLOWLOG", "GET"),
        ("GET", "wedops:health"),
        ("HGETALL", connections.LEVELS),
        ("LPUSH", "emergency", "{}"),
        ("CONFIG", "GET", "*"),
        ("FCALL", "wedops_show", "1", "wedops:{1}", "t", "u"),
    ],
}
#: What looks after a server, and is nobody's but the owner's.
OWNERS = [
    ("FLUSHALL",),
    ("KEYS", "*"),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("MIGRATE", "127.0.0.1", "1", "k", "0", "1"),
    ("MODULE", "LIST"),
    ("ACL", "SETUSER", "mine", "on", "nopass", "+@all", "~*"),
    ("ACL", "LIST"),
    ("CONFIG", "SET", "dir", "/"),
    ("CONFIG", "REWRITE"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("FUNCTION", "FLUSH"),
    ("FUNCTION", "DELETE", "wedops_foundation"),
    ("FUNCTION", "RESTORE", "x"),
    ("MONITOR",),
    ("SWAPDB", "0", "1"),
]


def client(role: Role, server: Server = Server.BROKER) -> Redis:
    """Return a client that logs in as a role with the tests' secret, whatever this process is."""
    url = getattr(settings.servers(), f"{server}_url")
    return Redis.from_url(grants.as_role(url, role, LOGINS), decode_responses=True)


def tried(role: Role, *command: str, server: Server = Server.BROKER) -> bool:
    """Tell whether a role is let do something; what the server makes of it is another matter."""
    with client(role, server) as own:
        try:
            own.execute_command(*command)
        except NoPermissionError:
            return False
        except (ResponseError, RedisError) as error:
            return not any(said in str(error) for said in ("ACL failure", "NOPERM", "write flag"))
    return True


def generated() -> Iterator[tuple[Role, tuple[str, ...]]]:
    for role in rules.rules_of({Server.BROKER, Server.CONNECTIONS}):
        yield from ((role, command) for command in [*FORBIDDEN.get(role, []), *OWNERS])


@pytest.mark.parametrize(("role", "command"), list(generated()))
def test_a_role_is_refused_what_it_must_not_do(role: Role, command: tuple[str, ...], roles: Logins) -> None:
    assert not tried(role, *command)


def test_each_role_has_a_list_of_what_it_must_not_do() -> None:
    everywhere = {role for server in Server for role in rules.RULES[server]}
    assert everywhere - INSIDE == FORBIDDEN.keys()


def test_a_gateway_calls_its_functions_and_no_other(roles: Logins) -> None:
    text = "".join(redis.libraries().values())
    loaded = set(re.findall(r"'(wedops_\w+)'", text)) - {"wedops_cached"}
    assert len(loaded) > 40
    places = dict.fromkeys(("wedops_report", "wedops_leave", "wedops_route"), "wedops:{nodes}")
    places |= dict.fromkeys(("wedops_receipts", "wedops_joined"), "wedops:{urgent}:in")
    for name in loaded:
        called = tried(Role.GATEWAY, "FCALL", name, "1", places.get(name, "wedops:{1}"))
        assert called == (name in GATEWAY_CALLS), name


def test_no_gateway_ends_what_others_hold(enter: Callable[[Role], None]) -> None:
    """One call ended 330 of 330 connections, by the password that every gateway has."""
    for number in range(30):
        registry.open(connection(f"c{number}", user_id=f"u{number}"))
    enter(Role.GATEWAY)
    for number in range(64):
        for call in (
            ("wedops_sweep", "0", "1000"),
            ("wedops_evict", "n1", "0", "1000"),
            ("wedops_evict_among", "n1", "0", "w-1"),
            ("wedops_repair", "0", "{}", "{}", "[]", "[]"),
        ):
            name, *words = call
            with pytest.raises(NoPermissionError):
                redis.registry().fcall(name, 1, f"wedops:{{{number}}}", *words)
    assert registry.open(connection("c99", user_id="u99")).ok
    enter(Role.WORKER)
    assert sum(len(registry.connections_of("w-1", f"u{number}")) for number in range(30)) == 30


@pytest.mark.parametrize("command", OWNERS)
@pytest.mark.parametrize("role", list(rules.RULES[Server.CACHE]))
def test_nobody_owns_the_cache(role: Role, command: tuple[str, ...], roles: Logins) -> None:
    # Its memory is one of the resources that scaling sets; where it writes to, no client can set at all.
    sets = role in INSIDE and command[:2] == ("CONFIG", "SET")
    assert tried(role, *command, server=Server.CACHE) == sets


def test_nobody_comes_in_without_a_name(roles: Logins) -> None:
    for server in (redis.registry(), redis.cache_server()):
        where = server.connection_pool.connection_kwargs
        with pytest.raises(RedisError), Redis(host=where["host"], port=where["port"]) as anonymous:
            anonymous.ping()
