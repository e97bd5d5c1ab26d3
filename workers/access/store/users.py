"""What each role may do on Valkey or Redis 7, as rules of its ACL.

The server checks the commands inside a function as if its caller sent them. So a role that may call a
function may also send, by themselves, the commands which that needs, to the keys that it needs. What is kept
from a role is what it has no key, no channel or no function for.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum

from workers.access.keys import RATES
from workers.access.rules.roles import Role
from workers.balancing.keys import NODES
from workers.caching.keys import CONNECTIONS, COUNTS, ENTRIES, HOT, OURS, PENDING, READ, TOTALS, WATCHED
from workers.connections.keys import (
    AGGREGATED,
    ANY_SHARD,
    CLOSE,
    CONFIRMED,
    DESIRED,
    DESIRED_CHANGED,
    LEVELS,
    PHASES,
    PRESENT,
    QUALITY,
    REUSED,
    REVOKED,
    REVOKED_CHANGED,
    SERVICE,
    SHED,
    WRITTEN_FOR_GATEWAYS,
)
from workers.delivery.keys import IN, SENT, URGENT
from workers.foundation import keys
from workers.measurements.keys import METRICS
from workers.seasons.keys import KIND_OF_DAY
from workers.weddings.keys import DUE


class Server(StrEnum):
    """A server, by what it keeps. Without one of its own, the broker has the connections too."""

    BROKER = "broker"
    CONNECTIONS = "connections"
    CACHE = "cache"


def _calls(names: Iterable[str]) -> str:
    return " ".join(f"+fcall|{name}" for name in names)


#: What a client library asks before its first call.
_GREETING = "+ping +hello +client|setinfo +client|setname +echo"
#: Celery's queues, what stands beside them, and the answers of workers to an operator.
_QUEUES = ("emergency", "safety", "steady", "bulk", "warm_up")
_QUEUED = " ".join(f"~{queue}*" for queue in _QUEUES)
#: Who sends puts a message into a queue, sees how many wait and since when, and says that the queue is there.
#: No more: it takes none out, and leads none elsewhere.
_BINDINGS = " ".join(
    f"~_kombu.{kind}.{queue}" for kind in ("binding", "binding_permanent") for queue in _QUEUES
)
_SENDS = f"({_QUEUED} -@all +lpush +llen +lindex) ({_BINDINGS} -@all +sadd +smembers)"
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
_INSIDE = "+@all -@admin -@dangerous -function +info +function|list +function|load"


#: What clients ask of a Redis Cluster before their first call.
_IN_A_CLUSTER = "+cluster|slots +cluster|shards +command|info +command|docs +readonly"
_GATEWAY = (
    f"{_SHARDS} {_NODES} {_OBEYED} ~{CONFIRMED}* ~{IN} {_HEARD} -@all {_GREETING} {_GATEWAY_COMMANDS} "
    # Of what it hears it says itself only which sockets are to be closed or used again.
    f"{_calls(GATEWAY_CALLS)} {_IN_A_CLUSTER} ({_SAID} -@all +publish)"
)
#: What reads and writes data, and nothing that looks at or after a server.
_DATA = f"-@all +@read +@write +@transaction -@dangerous -@blocking -function {_GREETING} +time"
#: What names nobody, and no message's arguments.
_KNOWN = " ".join(
    f"%R~{key}"
    for key in (
        f"{keys.JOBS}*", f"{keys.job('')}*", keys.BEATS, keys.WORKERS, keys.TALLY, keys.CIRCUITS, KIND_OF_DAY,
        LEVELS, PHASES, SHED, f"{DESIRED}*", f"{NODES}*",
    )
)  # fmt: skip
_READER = f"{_KNOWN} -@all +@read -@dangerous {_GREETING} +time +fcall_ro +info"
_EXPORTER = f"-@all {_GREETING} +info +dbsize +slowlog|len +latency|latest +cluster|info"
#: What beat writes: its jobs' records and that it lives; and what wakes a task.
BEAT_CALLS = ("wedops_job_claim", "wedops_job_unclaim")
_BEATS = f"%R~{OURS} %R~_kombu.* ~{keys.job('')}* ~{keys.JOBS} ~{keys.BEATS} ~{keys.waking('')}*"
#: What the API is asked for of connections: who of a wedding is online, and how good that is.
_ONLINE = f"%R~{ANY_SHARD}* %R~{PRESENT}* %R~{QUALITY} +fcall_ro|wedops_presence"
#: What the API writes: samples, health, circuits, nodes that report to it; and what wakes a task.
API_CALLS = ("wedops_route", "wedops_report", "wedops_leave", "wedops_presence", "wedops_show")
_TAKES = (
    f"%R~{OURS} %R~_kombu.* ~{keys.HEALTH} ~{METRICS}* ~{keys.CIRCUITS} ~{keys.circuit('')}database* "
    f"~{keys.TALLY} ~{keys.EVENT_LOG} ~{keys.waking('')}* ~{keys.SLOW_STATEMENTS}* ~{NODES}* ~{AGGREGATED} "
    f"~{PENDING}* ~{RATES}* ~{DUE} ~{SENT}*"
)
#: What an operator sees of a server, beside what a worker may do.
_LOOKS = "+config|get +client|list +acl|getuser +acl|users +acl|whoami +acl|log"

#: By server and role. Who stands nowhere has no login there.
RULES: dict[Server, dict[Role, str]] = {
    Server.BROKER: {
        Role.OPERATOR: f"~{OURS} {_BROKER} &{OURS} {_CONTROL} {_INSIDE} {_LOOKS}",
        Role.WORKER: f"~{OURS} {_BROKER} &{OURS} {_CONTROL} {_INSIDE}",
        Role.BEAT: f"{_BEATS} {_DATA} {_calls(BEAT_CALLS)} {_SENDS}",
        Role.API: f"{_TAKES} {_DATA} {_ONLINE} {_calls(API_CALLS)} +info {_SENDS}",
        Role.READER: _READER,
        Role.EXPORTER: _EXPORTER,
    },
    Server.CONNECTIONS: {
        Role.OPERATOR: f"~{OURS} &{OURS} {_INSIDE} {_LOOKS}",
        Role.WORKER: f"~{OURS} &{OURS} {_INSIDE}",
        Role.API: f"{_TAKES} {_DATA} {_ONLINE} {_calls(API_CALLS)} +info {_IN_A_CLUSTER}",
        Role.GATEWAY: _GATEWAY,
        Role.READER: _READER,
        Role.EXPORTER: _EXPORTER,
    },
    Server.CACHE: {
        # The cache's memory is one of the resources that scaling sets.
        Role.OPERATOR: f"~{OURS} {_INSIDE} {_LOOKS} +config|set",
        Role.WORKER: f"~{OURS} {_INSIDE} +config|set",
        Role.API: f"~{OURS} {_DATA} +fcall +info +xread",
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
