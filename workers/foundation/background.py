"""Work that goes on beside a process's main one: what it raises is said and counted, and it goes on."""

import asyncio
import threading
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from workers.foundation import clock, logs

Result = TypeVar("Result")

log = logs.get("background")

#: In seconds: between a failure and the next try.
PAUSE = 0.5


def keep(name: str, work: Callable[[], None], *, until: threading.Event | None = None) -> threading.Thread:
    """Run endless work in a thread of its own, and return it.

    Work that fails or ends before `until` is set is begun anew.
    """
    ended = until or threading.Event()

    def _run() -> None:
        while not ended.is_set():
            try:
                work()
            except Exception as error:
                _say(name, error)
            ended.wait(PAUSE)

    thread = threading.Thread(target=_run, name=name, daemon=True)
    thread.start()
    return thread


def within(seconds: float, *works: Callable[[], Result]) -> list[Result | Exception]:
    """Run all at once, each in a thread of its own.

    Return what each returned or raised, TimeoutError for who takes longer.
    """
    found: list[Result | Exception] = [TimeoutError(f"no answer within {seconds:g} s") for _ in works]

    def _run(place: int, work: Callable[[], Result]) -> None:
        try:
            found[place] = work()
        except Exception as error:
            found[place] = error

    threads = [threading.Thread(target=_run, args=one, daemon=True) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    until = clock.stopwatch() + seconds
    for thread in threads:
        thread.join(max(0.0, until - clock.stopwatch()))
    return list(found)


async def kept(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run endless work on this loop until cancelled; whenever it fails or ends it is begun anew."""
    while True:
        try:
            await work()
        except Exception as error:
            _say(name, error)
        await asyncio.sleep(PAUSE)


def _say(name: str, error: Exception) -> None:
    # Who asks two servers at once and goes counts nothing.
    from workers.foundation import telemetry  # noqa: PLC0415

    telemetry.background_failures.labels(name).inc()
    # Of an error that nobody foresaw the place is logged, and not its text, which may quote data.
    where = [
        f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    log.error("background work failed", work=name, reason=type(error).__name__, where=" ".join(where[-5:]))
