"""The contract of what other services may ask, by task name. Messages are checked by pydantic, and by nothing else."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.commands.rules.kinds import EmergencyKind
from workers.weddings.rules import ID_PATTERN

WeddingId = Annotated[str, Field(pattern=f"^{ID_PATTERN}$", description="id in the calendar")]
RequestKey = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}$", description="the caller's key: the same key does it once"),
]


class Message(BaseModel):
    """What every message carries. Unknown fields are tolerated: a newer service may call an older worker."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    wedding_id: WeddingId
    request_key: RequestKey | None = Field(default=None, description="absent: the task id is the key")


class WarmUp(Message):
    """caching.warm_up: have a wedding's data in the cache before its people come."""


class OpenEmergency(Message):
    """emergencies.open: open an emergency of a wedding and start its protocol."""

    kind: EmergencyKind


#: What may be asked: task name -> message. docs/reference/messages.json is this, as JSON Schema.
CONTRACT: dict[str, type[Message]] = {"caching.warm_up": WarmUp, "emergencies.open": OpenEmergency}

_WORD = re.compile(r"[a-z_]{1,20}")

Kind = TypeVar("Kind", bound=Message)


def problems(message: type[Message], fields: dict[str, Any]) -> list[str]:
    """Return what is wrong with `fields`, one line a field with its remedy; empty when all is well."""
    try:
        message.model_validate(fields)
    except ValidationError as error:
        return [_line(problem) for problem in error.errors()]
    return []


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{name} is missing; send it"
    value = problem["input"]
    # Shown when it is a word: what else people write into a field may be personal, and this goes to logs.
    shown = f"={value!r}" if isinstance(value, str) and _WORD.fullmatch(value) else ""
    return f"{name}{shown}: {problem['msg']}"


def schemas() -> dict[str, Any]:
    """Return the contract as JSON Schema, by task name."""
    return {task: message.model_json_schema() for task, message in CONTRACT.items()}
