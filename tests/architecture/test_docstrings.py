"""What docstrings name exists: a renamed parameter takes its docstring along."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT
from tests.architecture.test_budgets import _sources
from workers.cli.main import COMMANDS

#: Words that are no names of ours: of SQL, of examples, of other programs, or of other rooms.
FOREIGN = {
    "instances_max",
    "tasks_failed",
    "wait_ms",
    "wedops_observe",
    "extensions",
    "keda_desired",
    "wedding_unknown",
    "info",
    "local",
    "pictures",
    "supabase",
    "wedops",
}


@cache
def _names(room: Path) -> frozenset[str]:
    """Return what the files of a room name, but for docstrings: identifiers, and words of texts."""
    found: set[str] = set()
    for path in [*room.rglob("*.py")] if room.is_dir() else [room]:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME:
                found.add(token.string)
            elif token.type == tokenize.STRING and not token.string.startswith('"""'):
                found |= set(re.findall(r"\w+", token.string))
    for path in room.rglob("*.lua"):
        found |= set(re.findall(r"\w+", path.read_text()))
    return frozenset(found)


@cache
def _files() -> frozenset[str]:
    """Return what files, rooms and commands are called."""
    return frozenset({part for path in _sources() for part in path.with_suffix("").parts} | set(COMMANDS))


def _room(path: Path) -> Path:
    package, *rest = path.relative_to(ROOT).parts
    return ROOT / package / rest[0] if package == "workers" else ROOT / package


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_docstring_has_in_backticks_is_in_its_room(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            quoted = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", ast.get_docstring(node) or ""))
            assert quoted <= _names(_room(path)) | _files() | FOREIGN, f"{node.name}: {quoted}"
