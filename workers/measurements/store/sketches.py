"""t-digests of many series, put together.

A sketch that holds single values only is read as what it is, by numpy, and all of a series' values are given
to one new sketch: a fifth of what it costs to merge sixty of six values. Others are merged.
"""

from typing import Any

import numpy as np
from datasketches import tdigest_double

#: 100 centroids: the 99th percentile is off by well below one percent of the ranks.
COMPRESSION = 100
#: Of the serialized form (datasketches' version 1), in words of 8 bytes: a sketch of one value is a header
#: and that value; a longer one has two of header, minimum, maximum, and mean and weight of each centroid.
_SINGLE, _FIRST = 2, 4

Array = np.ndarray[Any, Any]


def of_values(values: Array) -> bytes:
    """Return the sketch of values."""
    sketch = tdigest_double(COMPRESSION)
    sketch.update(np.ascontiguousarray(values))
    return bytes(sketch.serialize())


def merged(sketches: bytes, lengths: Array) -> bytes:
    """Return the sketch of several, which are serialized one after another; `lengths` are bytes of each."""
    values = _values(sketches, lengths)
    if values is not None:
        return of_values(values)
    whole, first = tdigest_double(COMPRESSION), 0
    for length in lengths.tolist():
        whole.merge(tdigest_double.deserialize(sketches[first : first + length]))
        first += length
    return bytes(whole.serialize())


def _values(sketches: bytes, lengths: Array) -> Array | None:
    """Return the values that the sketches hold one by one; None when one holds more than single values."""
    if len(sketches) % 8:
        return None
    words = lengths // 8
    at = np.arange(len(sketches) // 8) - np.repeat(np.cumsum(words) - words, words)
    single = np.repeat(words == _SINGLE, words)
    means = np.where(single, at == 1, (at >= _FIRST) & (at % 2 == 0))
    weights = np.frombuffer(sketches, dtype="<u8")[~single & (at > _FIRST) & (at % 2 == 1)]
    return np.frombuffer(sketches, dtype="<f8")[means] if (weights == 1).all() else None
