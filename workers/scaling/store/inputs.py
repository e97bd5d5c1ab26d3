"""What a decision was made from, as its row keeps it: the whole reading and policy, so that it can be made again."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from workers.scaling.rules.decision import Reading
from workers.scaling.rules.policy import Policy

#: Rows of before have some figures and no version: they tell what they have, and cannot be decided again.
VERSION = 2
_READING, _POLICY = TypeAdapter(Reading), TypeAdapter(Policy)


def kept(reading: Reading, policy: Policy) -> dict[str, Any]:
    """Return what a row keeps."""
    return {
        "version": VERSION,
        "reading": _READING.dump_python(reading, mode="json"),
        "policy": _POLICY.dump_python(policy, mode="json"),
    }


def read(inputs: Mapping[str, Any]) -> tuple[Reading, Policy] | None:
    """Return what a decision was made from; None for a row of before."""
    if inputs.get("version") != VERSION:
        return None
    return _READING.validate_python(inputs["reading"]), _POLICY.validate_python(inputs["policy"])
