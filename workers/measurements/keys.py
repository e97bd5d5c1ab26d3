"""The Redis keys of measurements, on the server of the registry."""

#: Stream: blocks of samples, from intake to the writer in `ingest`.
STREAM = "wedops:metrics:stream"
#: `DETECTOR`: hash of series -> state. Written and read by measurements.detect.
STATE = "wedops:detect:"
#: Hash: series -> its anomaly as JSON. Written by measurements.detect; read by alerts.check.
FOUND = "wedops:anomalies"


def sent(source: str, second: int) -> str:
    """Return the count of a source's samples in a second of the machine's clock."""
    return f"wedops:metrics:rate:{source}:{second}"
