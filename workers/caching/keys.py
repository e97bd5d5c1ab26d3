"""The keys of the cache's own server, where all may be evicted and made again; a few on the registry's."""

#: `KIND:ID…`: string, an entry. Written and read by processes with the two layers; gateways read it by
#: wedops_cached and write `connection` by wedops_cache_remember.
ENTRIES = "wedops:cache:"
#: `WEDDING:USER`: those entries that gateways may write.
CONNECTIONS = ENTRIES + "connection:"
#: All that is ours on the server.
OURS = "wedops:*"
#: `KIND:ID…`: string, there while one loads the entry and the others wait.
LOADING = "wedops:loading:"
#: Stream: entries that changed, with their revision; what processes hold in memory follows it.
CHANGES = "wedops:cached:changes"
#: A word in CHANGES: drop what expired.
EXPIRE = "*expire*"
#: A word in CHANGES: drop everything, the calendar's versions went back.
RESET = "*reset*"
#: A word in CHANGES: peak mode began, ended, or its hot entries were loaded.
MODE = "*mode*"
#: String: the calendar's version up to which changes have reached this server. Written and read by
#: caching.forget.
MARK = "wedops:cached:mark"
#: Sorted set: entry -> how often it was read of late. Written by all readers, halved by caching.expire; read
#: by peak mode and `cache show`.
HOT = "wedops:cached:hot"
#: Hash: `hit|KIND` and `refused|KIND` of gateways, `own|KIND` that our processes refused -> how often.
#: Written by who reads; drained by caching.expire.
COUNTS = "wedops:cached:counts"
#: Hash: `LAYER|KIND` -> how often all readers read. Written by them; read by caching.warm and `cache show`.
TOTALS = "wedops:cached:totals"
#: `WEDDING`: hash, what of a warm-up was read in its first minutes. Written by who warms and who reads; read
#: by caching.expire.
WATCHED = "wedops:cached:watched:"
#: `WEDDING`: set, entries of its warm-up that were read. Written by readers; read by caching.expire.
READ = "wedops:cached:read:"
#: Sorted set: wedding -> when its warm-up is evaluated, ms. Written by who warms; read by caching.expire.
WATCHES = "wedops:cached:watches"
#: Hash: what maintenance found last, as JSON by name. Written by caching.inspect and caching.compare; read by
#: alerts and `cache show`.
FINDINGS = "wedops:cached:findings"
#: Sorted set, on the server of the registry: a warm-up that waits, as JSON -> when its people come, epoch
#: seconds of the world. Written by who wants one; read by caching.warm.
PENDING = "wedops:warming"
#: String, on the server of the registry: run id of the cache's server that was warmed. Written and read by
#: caching.warm.
WARMED_SERVER = "wedops:warming:server"
#: Hash, on the server of the registry: who ordered peak mode -> under which key and until when. Written by
#: operators, plans and responses; read by all processes.
PEAK = "wedops:warming:peak"
#: String, on the server of the registry: MARK as it was last written, for a server that gave its own up.
MARK_KEPT = "wedops:warming:mark"


def name(kind: str, ids: tuple[str, ...]) -> str:
    """Return what an entry is called below ENTRIES and LOADING. Ids have no colon, so no two are the same."""
    return ":".join((kind, *ids))
