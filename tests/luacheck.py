"""`make check`: luacheck over each library of Redis functions, as it is loaded."""

import subprocess
import sys

from tests import ROOT
from workers.foundation import redis


def main() -> int:
    """Return what luacheck says of the worst."""
    worst = 0
    for name, source in redis.libraries().items():
        # The first line is Valkey's own.
        text = "--" + source
        words = [
            "luacheck",
            "--config",
            str(ROOT / ".luacheckrc"),
            "--no-color",
            "--quiet",
            "--filename",
            f"{name}.lua",
            "-",
        ]
        worst = max(worst, subprocess.run(words, input=text, text=True, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
