"""What each role may do on Valkey or Redis 7, as rules of its ACL.

The server checks the commands inside a function as if its caller sent them. So a role that may call a
function may also send, by themselves, the commands which that needs, to the keys that it needs. What is kept
from a role is what it has no key, no channel or no function for.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

from workers.access.rules.roles import Role
from workers.balancing.keys import NODES
from workers.caching.keys import CONNECTIONS, COUNTS, ENTRIES, HOT, OURS, READ, TOTALS, WATCHED
from workers.connections.keys import (
    ANY_SHARD,
    CLOSE,
    CONFIRMED,
    DESIRED,
    DESIRED_CHANGED,
    LEVELS,
    PHASES,
    REUSED,
    REVOKED,
    REVOKED_CHANGED,
    SERVICE,
    SHED,
    WRITTEN_FOR_GATEWAYS,
)
from workers.delivery.keys import IN, URGENT


class Server(StrEnum):
    """A server, by what it keeps. Without one of its own, the broker has the connections too."""

    BROKER = "broker"
    CONNECTIONS = "connections"
    CACHE = "cache"


#: What a client library asks before its first call.
_GREETING = "+ping +hello +client|setinfo +client|setname +echo"
#: Celery's queues, what stands beside them, and the answers of workers to an operator.
_QUEUES = ("emergency", "safety", "steady", "bulk", "warm_up")
_QUEUED = " ".join(f"~{queue}*" for queue in _QUEUES)
_SENDS = f"{_QUEUED} %R~_kombu.*"
#: Who sends says that a queue is there; no more, or messages could be led elsewhere.
_BINDS = "(~_kombu.binding.* ~_kombu.binding_permanent.* -@all +sadd)"
_BROKER = f"{_QUEUED} ~_kombu.* ~unacked* ~*.celery.pidbox* ~celeryev*"
#: Workers are told what to do, and say what they do, on these channels: only operators and workers have them.
#: A pattern that is subscribed to must stand here as it is; 0 is the broker's database.
_CONTROL = "&/0.celery.pidbox &/0.celeryev/*"

#: What a gateway calls. Functions that end others' connections, count or repair are none of them.
GATEWAY_CALLS = (
    "wedops_open",
    "wedops_refused",
    "wedops_subscribe",
    "wedops_unsubscribe",
    "wedops_heartbeat",
    "wedops_measure",
    "wedops_observe",
    "wedops_lost",
    "wedops_close",
    "wedops_presence",
    "wedops_backups",
    "wedops_show",
    "wedops_report",
    "wedops_leave",
    "wedops_route",
    "wedops_receipts",
    "wedops_joined",
)
_SHARDS = " ".join(f"~{ANY_SHARD}{part}" for part in WRITTEN_FOR_GATEWAYS)
_NODES = f"%R~{NODES}* ~{NODES} ~{NODES}:facts ~{NODES}:seen ~{NODES}:met:* ~{NODES}:r:*"
_OBEYED = " ".join(f"%R~{key}" for key in (f"{DESIRED}*", LEVELS, PHASES, SHED, REVOKED, f"{ANY_SHARD}*"))
_SAID = f"&{CLOSE}* &{REUSED}*"
_HEARD = f"&{DESIRED_CHANGED} &{SERVICE} &{REVOKED_CHANGED} &{URGENT}* {_SAID}"
_GATEWAY_COMMANDS = (
    "+get +set +del +exists +incr +pexpire +hget +hset +hdel +hincrby +hgetall +hlen +hmget +hexists +hscan "
    "+sadd +srem +sismember +zadd +zrem +zscore +zmscore +zincrby +zrangebyscore +zrevrange +zremrangebyrank "
    "+zcount +xadd +time +subscribe +unsubscribe"
)

_COUNTED = " ".join(f"~{key}" for key in (COUNTS, HOT, TOTALS, f"{WATCHED}*", f"{READ}*"))
#: Whether a server evicts and keeps is part of its configuration, and watched.
_INSIDE = "+@all -@admin -@dangerous -function +info +config|get +function|list +function|load"


def _calls(names: Iterable[str]) -> str:
    return " ".join(f"+fcall|{name}" for name in names)


_GATEWAY = (
    f"{_SHARDS} {_NODES} {_OBEYED} ~{CONFIRMED}* ~{IN} {_HEARD} -@all {_GREETING} {_GATEWAY_COMMANDS} "
    # Of what it hears it says itself only which sockets are to be closed or used again.
    f"{_calls(GATEWAY_CALLS)} ({_SAID} -@all +publish)"
)
#: What reads and writes data, and nothing that looks at or after a server.
_DATA = f"-@all +@read +@write +@transaction -@dangerous -@blocking -function {_GREETING} +time"
_READER = f"%R~{OURS} -@all +@read -@dangerous {_GREETING} +time +fcall_ro +info"
_EXPORTER = f"-@all {_GREETING} +info +dbsize +slowlog|len +slowlog|get +latency|latest +cluster|info"
#: What an operator sees of a server, beside what a worker may do.
_LOOKS = "+client|list +acl|getuser +acl|users +acl|whoami +acl|log"

#: By server and role. Who stands nowhere has no login there.
RULES: dict[Server, dict[Role, str]] = {
    Server.BROKER: {
        Role.OPERATOR: f"~{OURS} {_BROKER} &{OURS} {_CONTROL} {_INSIDE} {_LOOKS}",
        Role.WORKER: f"~{OURS} {_BROKER} &{OURS} {_CONTROL} {_INSIDE}",
        # It loads functions again on a broker that was replaced or emptied.
        Role.BEAT: f"~{OURS} {_SENDS} {_DATA} +fcall +function|load {_BINDS}",
        Role.API: f"~{OURS} {_SENDS} {_DATA} +fcall +info {_BINDS}",
        Role.READER: _READER,
        Role.EXPORTER: _EXPORTER,
    },
    Server.CONNECTIONS: {
        Role.OPERATOR: f"~{OURS} &{OURS} {_INSIDE} {_LOOKS}",
        Role.WORKER: f"~{OURS} &{OURS} {_INSIDE}",
        Role.BEAT: f"~{OURS} {_DATA} +function|load",
        Role.API: f"~{OURS} {_DATA} +fcall +info",
        Role.GATEWAY: _GATEWAY,
        Role.READER: _READER,
        Role.EXPORTER: _EXPORTER,
    },
    Server.CACHE: {
        # The cache's memory is one of the resources that scaling sets.
        Role.OPERATOR: f"~{OURS} {_INSIDE} {_LOOKS} +config|set",
        Role.WORKER: f"~{OURS} {_INSIDE} +config|set",
        Role.API: f"~{OURS} {_DATA} +fcall +info +xread +function|load",
        # It reads all, and writes what its connections had.
        Role.GATEWAY: f"%R~{ENTRIES}* ~{CONNECTIONS}* {_COUNTED} -@all {_GREETING} +fcall|wedops_cached "
        "+fcall|wedops_cache_remember +get +set +hincrby +hmget +hset +sadd +pexpire +zincrby +time",
        Role.EXPORTER: _EXPORTER,
    },
}


def rules_of(servers: Collection[Server]) -> dict[Role, str]:
    """Return the rules of each role on one server that keeps all of this.

    The broker's rules have what the same role may do with connections.
    """
    found: dict[Role, str] = {}
    for server in Server:
        found = RULES[server] | found if server in servers else found
    return found
