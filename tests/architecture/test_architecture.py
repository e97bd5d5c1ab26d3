"""The ways that docs/architecture.md tells are those of the code: each hop exists, and leads to the next."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import ROOT
from workers.app import app

_HOP = re.compile(r"^\d+\. (?:\*by the (\w+)\* `([^`]+)`: )?`([^`]+)` · `([^`]+)`: ", re.MULTILINE)


@dataclass(frozen=True)
class Hop:
    """A line of the page: by what it is reached, and which function of which file it is.

    Empty: the one before calls it.
    """

    by: str
    named: str
    file: Path
    function: str

    def source(self) -> str:
        """Return the text of the function and of what it calls in its own module; empty when it is none."""
        text = self.file.read_text()
        if self.file.suffix != ".py":
            return text if f"'{self.function}'" in text else ""
        body = ast.parse(text).body
        functions = {
            one.name: ast.unparse(one)
            for holder in (body, *(one.body for one in body if isinstance(one, ast.ClassDef)))
            for one in holder
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        found, open_ones = dict[str, str](), [self.function]
        while open_ones:
            name = open_ones.pop()
            if name in functions and name not in found:
                found[name] = functions[name]
                open_ones += re.findall(r"\b\w+\b", functions[name])
        constants = [ast.unparse(one) for one in body if isinstance(one, ast.AnnAssign | ast.Assign)]
        return "\n".join([*found.values(), *constants]) if self.function in found else ""


def _ways() -> dict[str, list[Hop]]:
    parts = re.split(r"^## (.+)$", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        title: [Hop(by, named, ROOT / file, function) for by, named, file, function in _HOP.findall(text)]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


WAYS = _ways()


def test_there_are_five_ways() -> None:
    assert [len(hops) for hops in WAYS.values()] == [14, 16, 10, 7, 13]


@pytest.mark.parametrize("way", WAYS)
def test_each_hop_is_a_function_that_leads_to_the_next(way: str) -> None:
    app.loader.import_default_modules()
    before: Hop | None = None
    for hop in WAYS[way]:
        assert hop.source(), f"{hop.function} is no function of {hop.file}"
        if hop.by in ("job", "queue"):
            task = app.tasks[hop.named]
            assert (ROOT / (task.__module__.replace(".", "/") + ".py"), task.run.__name__) == (
                hop.file,
                hop.function,
            )
        elif hop.by and before:
            assert hop.named in before.file.read_text(), f"{before.file} knows no {hop.named}"
        elif before:
            assert re.search(rf"\b{hop.function}\b", before.source()), (
                f"{before.function} does not call {hop.function}"
            )
        before = hop
