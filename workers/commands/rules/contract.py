"""What a command carries, whoever offers it. Messages are checked by pydantic, and by nothing else."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.outbox.rules import Lane
from workers.weddings.rules.calendar import ID_PATTERN

WeddingId = Annotated[str, Field(pattern=f"^{ID_PATTERN}$", description="id in the calendar")]
RequestKey = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,199}$",
        description="the caller's key: the same key does it once",
    ),
]


class Command(BaseModel):
    """What every command carries. Unknown fields are tolerated: a newer service may call an older worker."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    #: The task that does it, and how soon it is sent.
    task: ClassVar[str]
    lane: ClassVar[Lane] = Lane.NORMAL

    request_key: RequestKey | None = Field(default=None, description="absent: the task id is the key")


class WeddingCommand(Command):
    """A command about a wedding, which must be in the calendar."""

    wedding_id: WeddingId


Kind = TypeVar("Kind", bound=Command)


#: What may be asked: task name -> command. Each room registers its own in its `formats.py`.
CONTRACT: dict[str, type[Command]] = {}


def register(command: type[Kind]) -> type[Kind]:
    """Offer a command to other services."""
    CONTRACT[command.task] = command
    return command


_WORD = re.compile(r"[a-z_]{1,20}")


def problems(command: type[Command], fields: dict[str, Any]) -> list[str]:
    """Return what is wrong with `fields`, one line a field with its remedy; empty when all is well."""
    try:
        command.model_validate(fields)
    except ValidationError as error:
        return [_line(problem) for problem in error.errors()]
    known = fields.keys() & command.model_fields.keys()
    return [
        f"{name} has characters that no database keeps; send text" for name in known if _is_odd(fields[name])
    ]


def _is_odd(value: Any) -> bool:
    """Tell whether a value has a NUL or half a character in it, at any depth."""
    if isinstance(value, str):
        return "\0" in value or any(0xD800 <= ord(one) <= 0xDFFF for one in value)
    if isinstance(value, Mapping):
        return any(_is_odd(one) for pair in value.items() for one in pair)
    return isinstance(value, list | tuple) and any(map(_is_odd, value))


def _line(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{name} is missing; send it"
    value = problem["input"]
    # Shown when it is a word: what else people write into a field may be personal, and this goes to logs.
    shown = f"={value!r}" if isinstance(value, str) and _WORD.fullmatch(value) else ""
    return f"{name}{shown}: {problem['msg']}"


def schemas() -> dict[str, Any]:
    """Return what is offered as JSON Schema, by task name."""
    return {task: CONTRACT[task].model_json_schema() for task in sorted(CONTRACT)}
