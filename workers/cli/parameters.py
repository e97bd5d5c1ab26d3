"""Days, durations and words as an operator writes them; and who that is."""

import getpass
import os
from datetime import datetime, timedelta
from typing import Any

import click

from workers.foundation import settings
from workers.weddings.rules.calendar import NAME, NAME_REMEDY


class MomentText(click.DateTime):
    """A click.DateTime of these centuries: a slip of the pen is refused before it is computed with."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> datetime:
        """Return the moment, without a zone."""
        found: datetime = super().convert(value, param, context)
        if not 2000 <= found.year <= 2200:
            self.fail("must be of a year from 2000 to 2200", param, context)
        return found


class Duration(click.ParamType[timedelta]):
    """30m, 2h, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> timedelta:
        """Return a timedelta."""
        try:
            lasts = (
                value
                if isinstance(value, timedelta)
                else settings.duration(param.opts[0] if param else "it", value)
            )
        except settings.SettingInvalid as error:
            self.fail(str(error), param, context)
        if not timedelta(minutes=1) <= lasts <= timedelta(days=30):
            self.fail("must be from 1m to 30d", param, context)
        return lasts


class Words(click.ParamType[str]):
    """Something that is said."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return it without spaces around it."""
        text = str(value).strip()
        return text if text and text.isprintable() else self.fail("say it in words", param, context)


class Name(click.ParamType[str]):
    """What a region or somebody is called."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return it."""
        return str(value) if NAME.fullmatch(str(value)) else self.fail(f"use {NAME_REMEDY}", param, context)


def operator() -> str:
    """Return who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may have no such entry.
        return f"uid-{os.getuid()}"
