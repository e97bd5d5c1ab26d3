"""What a command costs an operator who types it.

Processor seconds, start of the interpreter and imports among them.

    python -m benchmarks.cli [--json] [--runs 5]

Ours run on real servers with a thousand weddings in the calendar. The peers are what else an operator types,
and only say their version or their help; `bare` is a Python that does nothing.
"""

import os
import resource
import subprocess
import sys
from datetime import timedelta
from functools import partial

from benchmarks import form
from workers.foundation import clock

OURS = {
    "help_s": ("--help",),
    "status_s": ("status", "--json"),
    "weddings_next_s": ("weddings", "next"),
    "scaling_show_s": ("scaling", "show", "--json"),
    "alerts_list_s": ("alerts", "list", "--json"),
}
PEERS = {
    "celery_version": ("-m", "celery", "--version"),
    "alembic_help": ("-m", "alembic.config", "--help"),
    "flower_import": ("-c", "import flower.command"),
    "bare": ("-c", "pass"),
}


def main() -> None:
    """Print the figures."""
    with form.broker(), form.database(SCALING_NEW_REGIONS="live"):
        _fill()
        peers = {name: partial(_peer, words) for name, words in PEERS.items()}
        form.main("cli", {"ours": _ours} | peers, _ratios, runs=5)


def _fill() -> None:
    from workers.foundation import database
    from workers.weddings.rules.calendar import VenueType, Wedding
    from workers.weddings.store import weddings

    now, lasts = clock.now(), timedelta(hours=6)
    local = now.replace(tzinfo=None)
    facts = local, local + lasts, "UTC", now, now + lasts, 100, VenueType.GARDEN
    calendar = [Wedding(f"w-{number}", *facts, f"region-{number % 50}") for number in range(1_000)]
    with database.transaction() as db:
        weddings.upsert(db, calendar, at=now)


def _ours() -> form.Figures:
    code = "from workers.cli.main import main; main()"
    return {name: _cost("-c", code, *words) for name, words in OURS.items()}


def _peer(words: tuple[str, ...]) -> form.Figures:
    return {"s": _cost(*words)}


def _cost(*words: str) -> float:
    """Return the processor seconds that a command takes, of its children too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ratios(medians: dict[str, form.Figures]) -> form.Figures:
    celery = medians["celery_version"]["s"]
    return {
        f"{name.removesuffix('_s')}_over_celery_version": value / celery
        for name, value in medians["ours"].items()
    }


if __name__ == "__main__":
    main()
