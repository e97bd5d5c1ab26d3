"""What Prometheus reads of urgent messages."""

from prometheus_client import Counter, Histogram

from workers.foundation import telemetry  # noqa: F401 - sets up where counts are kept

sent = Counter("wedops_messages_sent", "Urgent messages by status.", ["status"])
refused = Counter("wedops_messages_refused", "Urgent messages that were not taken, by reason.", ["reason"])
receipts = Counter(
    "wedops_message_receipts", "Receipts by the state that they led to, or `unknown`.", ["state"]
)
seconds = Histogram(
    "wedops_message_delivery_seconds",
    "From the commit of an urgent message until it is proved to be with a recipient.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5, 30, 300),
)
