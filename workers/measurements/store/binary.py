"""Records of PostgreSQL's binary COPY."""

from typing import Any

import numpy as np

#: Rows of points, or a mask of them.
Points = np.ndarray[Any, Any]


_BINARY = np.dtype(
    [
        ("fields", ">i2"),
        ("l1", ">i4"),
        ("series", ">i8"),
        ("l2", ">i4"),
        ("at", ">i8"),
        ("l3", ">i4"),
        ("value", ">f8"),
    ]
)


#: PostgreSQL counts microseconds from 2000-01-01.
_EPOCH = 946_684_800_000_000


HEAD, TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


def binary(rows: Points) -> bytes:
    """Return rows as records of PostgreSQL's binary COPY; HEAD goes before them, TAIL after."""
    out = np.empty(len(rows), _BINARY)
    out["fields"], out["l1"], out["l2"], out["l3"] = 3, 8, 8, 8
    out["series"], out["at"], out["value"] = rows["series"], rows["at"] - _EPOCH, rows["value"]
    return out.tobytes()
