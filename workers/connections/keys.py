"""The Redis keys of connections, on their own server.

The functions build the names below a shard's key themselves.
"""

from zlib import crc32

#: Hash: scope -> owner, reason and end of an emergency mode as JSON. Written by operators, responses and
#: protocols; read by admission's limits, service levels and `status`.
MODES = "wedops:emergency_modes"
#: String: what the version before has for a mode everywhere. Read until it is ended.
EMERGENCY = "wedops:emergency_mode"
#: Hash: what routing goes by, beside the nodes' own keys. Written with the limits; read by wedops_route.
ROUTING_LIMITS = "wedops:{nodes}:limits"
#: Hash: class -> service level as JSON. Written by connections; read by gateways and `wedops person`.
LEVELS = "wedops:service:levels"
#: Hash: wedding -> phase. Written by connections; read by gateways and `wedops person`.
PHASES = "wedops:service:phases"
#: Hash: scope -> features that are shed there and until when, as JSON. Written by responses; read by levels.
SHEDDING = "wedops:shedding"
#: Hash: wedding -> features that are shed, with spaces between. Written by connections; read by gateways.
SHED = "wedops:service:shed"
#: Channel: levels, phases or what is shed changed. Gateways subscribe.
SERVICE = "wedops:service"
#: Hash: what a planned peak needs, and until when. Written by `plan peak`; read by scaling and `status`.
PEAK = "wedops:peak"
#: `WEDDING`: hash of user id -> user type, online by a deployment's own Presence. Written by `listen`; read
#: by `presence`.
PRESENT = "wedops:present:"
#: Hash: wedding -> mean quality score of its connections. Written by the sweep; read by `presence`.
QUALITY = "wedops:quality"
#: String: the shard that an audit goes on with. Written and read by the audit.
AUDIT = "wedops:audit:next"
#: Sorted set: region whose rows come from its nodes' metrics -> until when. Written by balancing; read by the
#: snapshot.
AGGREGATED = "wedops:aggregated"
#: `REGION`: hash of what the region's gateways are to apply. Written by scaling; read by gateways.
DESIRED = "wedops:desired:"
#: `REGION`: hash of gateway -> the action it applies. Written by gateways; read by scaling.
CONFIRMED = "wedops:confirmed:"
#: Channel: a region whose hash changed. Published by scaling; gateways subscribe.
DESIRED_CHANGED = "wedops:desired"
#: Hash: `user:ID`, `wedding:ID` or `key:NAME` -> `before` and `until` as JSON, epoch seconds: permits that
#: were taken back. Written by operators; read by gateways and the API.
REVOKED = "wedops:revoked"
#: Channel: a field of REVOKED changed. Gateways subscribe.
REVOKED_CHANGED = "wedops:revoked:changed"
#: `NODE`: channel of connections that the node is to close. Published by the functions; the node subscribes.
CLOSE = "wedops:close:"
#: `NODE`: channel of connections that got more channels instead of a second socket. Published and read as
#: CLOSE is.
REUSED = "wedops:reused:"


#: The key of any shard, as a pattern.
ANY_SHARD = "wedops:{[0-9]*}"
#: What of a shard the functions write that gateways call; the rest they read.
WRITTEN_FOR_GATEWAYS = ("", ":active", ":counts", ":flow", ":heavy", ":poor", ":r:*", ":t:*", ":tenants")


def critical(supplier_id: str, shards: int) -> str:
    """Return the key that is there while a supplier may have backups; read by admission and routes."""
    return f"{shard(supplier_id, shards)}:critical:{supplier_id}"


def shard(tenant: str, shards: int) -> str:
    """Return the key that all records of a tenant begin with; crc32 is the one of zlib, in every language."""
    return numbered(crc32(tenant.encode()) % shards)


def numbered(number: int) -> str:
    """Return the key of shard `number`, alone in its hash slot."""
    return f"wedops:{{{number}}}"
