"""Folders of servers that somebody else runs: what root writes there, and gives away."""

import os
import pwd
from pathlib import Path
from typing import BinaryIO

from workers.processes import programs


def quoted(value: str) -> str:
    """Return a value as Valkey's configuration has it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(path: Path, *lines: str) -> Path:
    """Write a file anew: its folder is somebody else's, who could have made a link of it."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "w") as file:  # noqa: PTH123 - by its number: the name may be another's by now
        file.write("\n".join((*lines, "")))
    return path


def log(path: Path) -> BinaryIO:
    """Open a server's log to append to; a link in its place is nobody's log."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    return open(os.open(path, flags, 0o600), "ab")  # noqa: PTH123 - by its number


def give_away(home: Path) -> None:
    """Let who runs a server have its folder, when we are root and it must not be."""
    if somebody := programs.unprivileged():
        owner = pwd.getpwnam(somebody["user"])
        for path in (home, *home.rglob("*")):
            # Never what a link of theirs leads to.
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        programs.open_parents(home)
