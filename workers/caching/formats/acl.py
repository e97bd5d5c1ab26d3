"""Who may do what on the cache's server, as ACL rules of Valkey or Redis 7."""

from workers.caching.keys import CONNECTIONS, COUNTS, ENTRIES, HOT, OURS, READ, TOTALS, WATCHED

_COUNTED = " ".join(f"~{key}" for key in (COUNTS, HOT, TOTALS, f"{WATCHED}*", f"{READ}*"))
_COMMANDS = (
    "+fcall +get +set +hincrby +hmget +hset +sadd +pexpire +zincrby +time +ping +hello +client|setinfo"
)
#: By role: a gateway reads all, and writes what its connections had; a worker does what the cache needs.
RULES: dict[str, str] = {
    "gateway": f"resetkeys %R~{ENTRIES}* ~{CONNECTIONS}* {_COUNTED} resetchannels -@all {_COMMANDS}",
    "worker": f"resetkeys ~{OURS} resetchannels -@all +@read +@write +@scripting +@connection +info +time "
    "+xread +config|get +config|set",
}


def commands() -> list[str]:
    """Return what makes the users of the roles; PASSWORD stands for what only they know."""
    return [f"ACL SETUSER {role} reset on >PASSWORD {rules}" for role, rules in RULES.items()]
