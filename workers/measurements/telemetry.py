"""What Prometheus reads of measurements."""

from prometheus_client import Counter, Gauge

from workers.foundation import telemetry  # noqa: F401 - sets up where counts are kept

series_left = Gauge(
    "wedops_series_left",
    "How many more series a token may begin today",
    ["source"],
    multiprocess_mode="mostrecent",
)
samples = Counter(
    "wedops_samples", "Samples by who sent them: accepted, refused, written, double", ["source", "what"]
)
