"""A group of commands whose modules are loaded when they are called.

To load all of them takes longer than most need.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """Lists `helps`, by command.

    A command is `command` in the module of its name in `package`, or of its name in `modules`.
    """

    def __init__(
        self,
        *given: Any,
        package: str,
        helps: Mapping[str, str],
        modules: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        """Take what click takes, where the commands are, and by which other names they are found."""
        super().__init__(*given, **more)
        self._aliases = aliases or {}
        self._package, self._helps, self._modules = package, helps, modules or {}

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the commands' names."""
        return list(self._helps)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Load a command; None when there is none of that name."""
        name = self._aliases.get(name, name)
        if name not in self._helps:
            return None
        module = self._modules.get(name, name.replace("-", "_"))
        command: click.Command = import_module(f"{self._package}.{module}").command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._helps.items()))
