"""A process's sign of life: a file it touches every second, which the supervisor watches."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

from workers.foundation import background

VARIABLE = "WEDOPS_HEARTBEAT_FILE"
EVERY = 1.0


def touch() -> None:
    """Show that this process lives; does nothing where nobody watches."""
    if path := os.environ.get(VARIABLE):
        Path(path).touch()


async def pulse() -> None:
    """Touch the file every second from the event loop, so that a blocked loop shows."""
    while True:
        touch()
        await asyncio.sleep(EVERY)


def keep(alive: Callable[[], bool] = lambda: True) -> None:
    """Touch the file every second from a thread, for as long as `alive` says so."""
    if VARIABLE not in os.environ:
        return
    wake = threading.Event()

    def _beat() -> None:
        while not wake.wait(EVERY):
            if alive():
                touch()

    touch()
    background.keep("heartbeat", _beat)
