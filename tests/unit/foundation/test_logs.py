"""Logs: JSON lines without secrets."""

import json
import subprocess
import sys

CODE = """
import logging
from workers.foundation import logs
logs.configure()
logs.get("room").warning("happened", wedding_id="w-1", reason="why", password="hunter2")
logging.getLogger("library").warning("said %s", "this")
"""


def test_every_line_is_json_with_its_fields_and_no_secret() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    ours, theirs = (json.loads(line) for line in done.stderr.splitlines())
    assert (ours["wedding_id"], ours["reason"], ours["room"], ours["level"]) == ("w-1", "why", "room", "warning")
    assert ours["password"] == "…"
    assert (theirs["event"], theirs["logger"]) == ("said this", "library")
