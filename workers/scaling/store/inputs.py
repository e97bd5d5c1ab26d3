"""What a decision was made from, as its row keeps it.

The whole reading and policy, so that it can be made again.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from workers.scaling.rules.decision import Reading
from workers.scaling.rules.policy import Policy

#: Rows of before version 2 have some figures and no version: they tell what they have, and cannot be decided
#: again.
VERSION = 3
#: What fields of version 2 are called now.
RENAMED = {
    "over": "expired",
    "hold_in": "scale_in_suspended",
    "hold_out": "scale_out_suspended",
    "follows": "expected_previous_id",
    "attempts_most": "attempts_max",
    "people_least": "connections_min",
    "people_per_database_connection": "users_per_database_connection",
    "people_per_cache_mb": "users_per_cache_mb",
}
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
    if inputs.get("version") not in (2, VERSION):
        return None
    return _READING.validate_python(_renamed(inputs["reading"])), _POLICY.validate_python(
        _renamed(inputs["policy"])
    )


def in_words_of_now(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row keeps, by what its fields are called now."""
    parts = {name: _renamed(inputs[name]) for name in ("reading", "policy") if name in inputs}
    return {**inputs, **parts}


def _renamed(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in facts.items()}
