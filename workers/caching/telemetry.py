"""What Prometheus reads of the cache."""

from prometheus_client import Counter, Gauge, Histogram

from workers.foundation import telemetry  # noqa: F401 - sets up where counts are kept

_QUICK = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1)

reads = Counter(
    "wedops_cache_reads",
    "Reads by layer (local, server, none: the source was asked), kind and the wedding's phase",
    ["layer", "kind", "phase"],
)
seconds = Histogram(
    "wedops_cache_seconds", "Time of a read of the server, or of a write", ["what"], buckets=_QUICK
)
stale = Counter(
    "wedops_cache_stale_served", "Older copies that were served while the source failed", ["kind"]
)
refused = Counter("wedops_cache_refused", "Entries of the server that were refused, by reason", ["reason"])
fills = Counter(
    "wedops_cache_fills",
    "Fills by outcome: filled, changed meanwhile, older",
    ["kind", "outcome"],
)
evicted = Counter("wedops_cache_local_evicted", "Copies that gave way to others in a process")
copies = Gauge("wedops_cache_local_copies", "Copies in all processes", multiprocess_mode="livesum")
local_bytes = Gauge(
    "wedops_cache_local_bytes", "Bytes of JSON that copies are, in all processes", multiprocess_mode="livesum"
)
compressed = Gauge(
    "wedops_cache_compression_ratio",
    "Bytes of sampled bodies over what they take in the server",
    multiprocess_mode="mostrecent",
)
warmed = Counter("wedops_cache_warmed", "Entries that warm-ups loaded, by why", ["why"])
precision = Gauge(
    "wedops_cache_warm_up_precision",
    "Warmed entries that were read before they expired, of those evaluated last",
    multiprocess_mode="mostrecent",
)
recall = Gauge(
    "wedops_cache_warm_up_recall",
    "Reads of the first minutes that hit, of the warm-ups evaluated last",
    multiprocess_mode="mostrecent",
)
held = Gauge(
    "wedops_cache_entries",
    "Entries in the server, of those sampled",
    ["kind"],
    multiprocess_mode="mostrecent",
)
held_bytes = Gauge(
    "wedops_cache_entry_bytes",
    "Bytes of entries in the server, of those sampled",
    ["kind"],
    multiprocess_mode="mostrecent",
)
server_bytes = Gauge(
    "wedops_cache_used_bytes", "Memory of the cache's server", multiprocess_mode="mostrecent"
)
server_limit = Gauge(
    "wedops_cache_max_bytes", "Memory that the cache's server may use", multiprocess_mode="mostrecent"
)
evictions = Gauge(
    "wedops_cache_evictions_per_second",
    "Entries that the server had to give up",
    multiprocess_mode="mostrecent",
)
operations = Gauge(
    "wedops_cache_operations_per_second", "Commands of the cache's server", multiprocess_mode="mostrecent"
)
stale_share = Gauge(
    "wedops_cache_stale_share",
    "Sampled entries that are older than their source, and that no invalidation reached",
    multiprocess_mode="mostrecent",
)
