"""The Redis keys of measurements, on the server of the registry."""

from datetime import date

#: What all that intake writes begins with.
METRICS = "wedops:metrics:"
#: Stream: blocks of samples, from intake to the writer in `ingest`.
STREAM = f"{METRICS}stream"
#: `DETECTOR`: hash of series -> state. Written and read by measurements.detect.
STATE = "wedops:detect:"
#: Hash: series -> its anomaly as JSON. Written by measurements.detect; read by alerts.check.
FOUND = "wedops:anomalies"


def begun(source: str, day: date) -> str:
    """Return the set of the series, as hashes, that a source or `wedding/ID` began on a day.

    Written and read by intake; gone a day after it.
    """
    return f"{METRICS}series:{day:%Y%m%d}:{source}"


def sent(source: str, second: int) -> str:
    """Return the count of a source's samples in a second of the machine's clock."""
    return f"{METRICS}rate:{source}:{second}"
