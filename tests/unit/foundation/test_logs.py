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
    assert (ours["wedding_id"], ours["reason"], ours["room"], ours["level"]) == (
        "w-1",
        "why",
        "room",
        "warning",
    )
    assert ours["password"] == "…"
    assert (theirs["event"], theirs["logger"]) == ("said this", "library")


CLOSED = """
import io, sys
from contextlib import redirect_stderr
from workers.foundation import logs
captured = io.StringIO()
with redirect_stderr(captured):
    logs.configure()
captured.close()
logs.get("room").warning("happened")
"""


def test_a_line_goes_where_standard_error_goes_now() -> None:
    """Who captured it when logs were configured has closed theirs."""
    done = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["event"] == "happened"
