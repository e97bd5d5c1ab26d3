"""Hearing of changes: a stream in the cache's server, which says what was missed while the line was down."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError, ResponseError

from workers.caching import keys
from workers.caching.keys import CHANGES
from workers.caching.store.local import Local
from workers.foundation import clock, logs, redis

log = logs.get("caching")

#: In ms, how long the server waits for a change before it says that there is none: sooner than the line is
#: given up.
BLOCK = 300
#: In seconds.
TICK = 5.0
#: So many changes are read at once.
MANY = 100


class OutrunError(RedisError):
    """Changes were trimmed before this process read them: it begins anew."""


class Changes:
    """Follows the stream for a process; `local` is trusted only while it does."""

    def __init__(self, local: Local, word: Callable[[str], None], tick: Callable[[], None]) -> None:
        """Drop from `local` what changed; have `word` heard, and `tick` called every few seconds."""
        self._local, self._word, self._tick = local, word, tick
        self._server, self._last = "", "0-0"
        #: Whether the server answers: nothing is asked of it while it does not.
        self.connected = False
        #: In seconds, how far the server's clock is ahead of this machine's.
        self.offset = 0.0
        self._ended = False

    def now(self) -> float:
        """Return the server's moment, in epoch seconds."""
        return clock.epoch() + self.offset

    def end(self) -> None:
        """Follow the stream no more."""
        self._ended = True

    def listen(self) -> None:
        """Follow the stream until the line is lost."""
        try:
            self._begin()
            ticked = clock.stopwatch()
            while not self._ended:
                self._read()
                if clock.stopwatch() - ticked > TICK:
                    ticked = clock.stopwatch()
                    self._do(self._tick)
        except (RedisError, OSError) as error:
            if self.connected:
                log.warning("changes not heard", reason="redis_unreachable", detail=str(error))
        finally:
            self.connected = False
            self._local.distrust()

    def _begin(self) -> None:
        server = self._client()
        info = server.info("server")
        seconds, micros = redis.server_time(server)
        self.offset = seconds + micros / 1e6 - clock.epoch()
        # What was read last must still be there, or what came after it may be gone as well.
        missed = info["run_id"] != self._server or not server.xrange(CHANGES, self._last, self._last)
        if missed:
            self._server = info["run_id"]
            with suppress(ResponseError):
                # Before anything is read anew: what changes from here on is heard.
                self._last = "0-0"
                self._last = server.xinfo_stream(CHANGES)["last-generated-id"]
        else:
            while self._read(block=None):
                pass
        self._local.trust(missed=missed)
        self.connected = True
        # What was told to all may have been missed, or heard before a copy could be held.
        self._do(self._word, keys.MODE)

    def _do(self, what: Callable[..., None], *words: str) -> None:
        """Do what is not about changes; whatever goes wrong with it, they are heard on."""
        try:
            what(*words)
        except Exception as error:
            log.warning("not done", reason=type(error).__name__, detail=str(error))

    def _client(self) -> redis.Client:
        # A line that was lost must be noticed: there may be another server behind the address.
        return redis.cache_server(tries=1)

    def _read(self, block: int | None = BLOCK) -> int:
        server = self._client()
        answer: Any = server.xread({CHANGES: self._last}, count=MANY, block=block)
        entries = answer[0][1] if answer else []
        if len(entries) == MANY and not server.xrange(CHANGES, self._last, self._last):
            # What was read last was trimmed: what came after it may be as well.
            raise OutrunError("more changes than are kept")
        for id, fields in entries:
            self._hear(fields.get("names", ""), fields.get("revision", ""))
            self._last = id
        return len(entries)

    def _hear(self, names: str, revision: str) -> None:
        if names.startswith("*"):
            self._do(self._word, names)
        elif revision.isdigit():
            keys = (name.split(":") for name in names.split(" "))
            self._local.drop([(kind, tuple(ids)) for kind, *ids in keys], int(revision))
