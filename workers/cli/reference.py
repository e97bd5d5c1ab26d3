"""The reference pages, made from the code.

`python -m workers.cli.reference` writes them into docs/reference.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from workers.app import app
from workers.cli import settings as declared
from workers.cli.main import wedops
from workers.commands.rules.contract import schemas
from workers.foundation.settings import others

_MADE = "Made from the code by `python -m workers.cli.reference`; change it there.\n"


def commands() -> str:
    """Return every command with its arguments and options, as Markdown."""
    parts = ["# Commands\n", _MADE, *_command(wedops, click.Context(wedops, info_name="wedops"))]
    return "\n".join(parts).rstrip() + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        if command is not wedops:
            yield from _one(command, context, "##")
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None  # noqa: S101 - it was listed
            if not found.hidden:
                yield from _command(found, click.Context(found, info_name=name, parent=context))
    else:
        yield from _one(
            command, context, "##" if context.parent and context.parent.command is wedops else "###"
        )


def _one(command: click.Command, context: click.Context, heading: str) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)]).replace("[OPTIONS] ", "")
    yield f"{heading} `{usage.replace(' [OPTIONS]', '')}`\n"
    yield cleandoc(command.help or "").replace("\f", "") + "\n"
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [record for record in records if record and record[0] != "--help"]
    if rows:
        yield "| option | |\n|---|---|"
        yield "\n".join(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def settings() -> str:
    """Return every setting with its default, as Markdown."""
    parts = [
        "# Settings\n",
        _MADE,
        "A variable of the environment each. `VARIABLE_FILE` names a file that holds the value. Durations "
        "are `90s`, `5m`,\n"
        "`2h`, `7d`; switches `true`, `false`; mappings JSON.\n",
    ]
    for one in declared.DECLARED:
        parts.append(f"## `{one.prefix}…` ({one.__module__.removeprefix('workers.')})\n")
        parts.append(cleandoc(one.__doc__ or "") + "\n")
        parts.append("| variable | default | also read |\n|---|---|---|")
        parts.append("\n".join(_setting(one, field) for field in fields(one)) + "\n")  # type: ignore[arg-type]
    parts.append("## Others\n\n| variable | |\n|---|---|")
    parts += [f"| `{name}` | {meaning} |" for name, meaning in declared.BESIDE.items()]
    return "\n".join(parts).rstrip() + "\n"


def _setting(one: Any, field: "Field[Any]") -> str:
    also_read = ", ".join(f"`{name}`" for name in others(one, field.name))
    return f"| `{one.prefix}{field.name.upper()}` | {_cell(_default(field))} | {also_read} |"


def _default(field: "Field[Any]") -> str:
    value = field.default
    if callable(field.default_factory):
        value = field.default_factory()
    return f"`{text}`" if value is not MISSING and (text := _text(value)) else "–"


def _text(value: object) -> str:
    """Return a value as the environment would have it."""
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value) if value else ""
    return str(value)


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def messages() -> str:
    """Return what other services may ask, as JSON Schema."""
    app.loader.import_default_modules()
    return json.dumps(schemas(), indent=2) + "\n"


PAGES = {"commands.md": commands, "settings.md": settings, "messages.json": messages}


def main(folder: Path) -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/reference"))
