"""Documents that an operator loads: TOML, checked field by field."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from workers.foundation.errors import ExpectedError

Document = TypeVar("Document")


def toml(path: Path, read: Callable[[dict[str, Any]], Document], refused: type[ExpectedError]) -> Document:
    """Return what a file says; raises `refused` with the path and each field that is wrong, as `problems`."""
    try:
        return read(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise refused(path=path, problems=f"no TOML: {error}") from None
    except ValidationError as error:
        wrong = {".".join(map(str, one["loc"])): one["msg"] for one in error.errors()}
        # What is wrong in a part makes the whole wrong, too: only the part helps.
        inner = [
            f"{at}: {why}" for at, why in wrong.items() if not any(one.startswith(f"{at}.") for one in wrong)
        ]
        raise refused(path=path, problems="; ".join(inner)) from None
