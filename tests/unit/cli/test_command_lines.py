"""Every command line of our pages is one that the command takes, and every default an option's."""

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest

from tests import ROOT
from workers.cli.main import COMMANDS, wedops

#: The reference has no command lines, but forms of them, made from the commands themselves.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "reference"),
]
#: Words that stand for something, and what may stand there.
PLACEHOLDERS = {
    "ID": "17",
    "N": "3",
    "H": "2",
    "DATE": "2026-10-10",
    "D": "2026-10-10",
    "KIND": "venue",
    "RESOURCE": "instances",
}
FILES = {"FILE", "season.csv", "paths.toml", "timeline.json"}
ALTERNATIVES = re.compile(r"\[([^\]|]+)[^\]]*\]")


def _leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found
        yield from _leaves(found, (*path, name))


def _written(page: Path) -> Iterator[str]:
    text = page.read_text()
    for match in re.finditer(r"`(?:\.venv/bin/)?wedops ([^`]+)`|^\$ wedops (.+)$", text, re.MULTILINE):
        yield (match[1] or match[2]).replace("\\|", "|")


LINES = sorted({(page.name, line) for page in PAGES for line in _written(page)})


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in _leaves(wedops)])
def test_a_default_is_a_value_that_its_option_takes(path: str) -> None:
    command = dict(_leaves(wedops))[tuple(path.split())]
    context = click.Context(command)
    for option in command.params:
        default = option.get_default(context)
        if isinstance(default, str | int | float | timedelta):
            option.type_cast_value(context, default)


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_of_our_pages_is_one(page: str, line: str) -> None:
    line = (
        ALTERNATIVES.sub(r"\1", line)
        .replace("--at …", "--at 2026-10-10T14:30")
        .replace("--reason …", "--reason why")
    )
    words = shlex.split(re.split(r"\s(?:#|\||>|&&)\s?|…", line, maxsplit=1)[0])
    words = [__file__ if word in FILES else PLACEHOLDERS.get(word, word).partition("|")[0] for word in words]
    if words[:1] and words[0] not in COMMANDS:
        pytest.fail(f"{page}: there is no `wedops {words[0]}`")
    command: click.Command = wedops
    context = click.Context(wedops)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found, f"{page}: there is no `wedops {line}`"
        command, words = found, words[1:]
    try:
        command.make_context("wedops", words, resilient_parsing=isinstance(command, click.Group))
    except click.MissingParameter:
        # The page names the command, and leaves out what is said where it is explained.
        pass
    except (click.exceptions.NoArgsIsHelpError, click.Abort, OSError):
        # It says what it can do, or asks for a secret.
        pass
