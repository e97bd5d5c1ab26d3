"""What Prometheus reads of measurements."""

from prometheus_client import Counter

from workers.foundation import telemetry  # noqa: F401 - sets up where counts are kept

samples = Counter(
    "wedops_samples", "Samples by who sent them: accepted, refused, written, double", ["source", "what"]
)
