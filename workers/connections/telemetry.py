"""What Prometheus reads of connections."""

from prometheus_client import Counter, Gauge

from workers.foundation import telemetry  # noqa: F401 - sets up where counts are kept

admissions = Counter("wedops_admissions", "Requests that got a connection: opened, or reused", ["how"])
quality = Gauge(
    "wedops_node_quality",
    "Mean quality score (0-100) of a node's connections",
    ["node"],
    multiprocess_mode="mostrecent",
)
messages = Counter("wedops_messages", "Messages of connections", ["region"])
message_errors = Counter("wedops_message_errors", "Messages that failed", ["region"])
message_bytes = Counter("wedops_message_bytes", "Bytes of messages", ["region"])
subscriptions = Gauge(
    "wedops_subscriptions", "Channels that connections have", ["region"], multiprocess_mode="mostrecent"
)
batches = Counter(
    "wedops_batches", "Writes of gathered messages to a recipient, by outcome", ["region", "outcome"]
)
hopeless = Counter("wedops_hopeless_connections", "Asked to be closed, for another may be better", ["region"])
deliveries = Counter("wedops_deliveries", "Messages that subscriptions got", ["region"])
latency_ms = Gauge(
    "wedops_latency_ms",
    "Time to connect and time from sender to recipient, ms",
    ["region", "what", "quantile"],
    multiprocess_mode="mostrecent",
)
rtt_ms = Gauge("wedops_rtt_ms", "Round-trip time, ms", ["region", "quantile"], multiprocess_mode="mostrecent")
