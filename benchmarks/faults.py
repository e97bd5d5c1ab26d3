"""kill -9 of anything, again and again, while requests are accepted: what is lost, and what happens twice.

    python -m benchmarks.faults [--requests 5000] [--kills 30] [--json]

Real servers (Valkey with AOF every second, PostgreSQL), our Procfile's beat and workers under our supervisor,
a real target for notifications. While emergencies and warm-ups are accepted at a steady pace, in turn a
worker, a pool child, beat, the broker and PostgreSQL are killed and come back. `lost` counts accepted
requests without their effect and notifications that never arrived, `double_effects` effects that are there
twice, `double_notifications` people told twice of one thing by one channel. `sent_again` are messages that
the target got again under the key that it got before (Idempotency-Key): their worker was killed between the
target's answer and our note of it, and nobody can tell that from a message that was never sent.
`recovery_…_s` is the longest time from the kill of a worker or a pool child until all that was accepted
before it had its effect. Exit code 1 when something was lost or doubled. The peer is a stock Celery app on
the same broker settings: tasks whose effect never came, in six kills of its worker.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

from sqlalchemy import text

from benchmarks import bare_faults, form
from benchmarks import system as systems
from benchmarks.target import Target
from workers.foundation import clock
from workers.processes import servers

PROCESSES = ("beat", "worker-emergency", "worker-safety", "worker-steady", "worker-bulk")
FAULTS = ("worker", "child", "beat", "broker", "postgres")
#: One emergency of a kind is open at a wedding: each request has its own.
WEDDINGS = 5_000
#: One request in so many is a warm-up, the others are emergencies.
WARM_UPS = 5


def main() -> None:
    """Print the figures."""
    options = form.parser(1)
    options.add_argument("--requests", type=int, default=5_000)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--alone", action="store_true", help="without the peer")
    given = options.parse_args()
    found: list[form.Figures] = []

    def ours() -> form.Figures:
        with system() as faults:
            found.append(faults.play(given.requests, given.kills))
        return found[-1]

    peers: dict[str, form.Measure] = {} if given.alone else {"bare_celery": bare_faults.lost}
    form.main("faults", {"ours": ours, **peers}, lambda _medians: {}, runs=1, options=given)
    wrong = ("lost", "double_effects", "double_notifications")
    sys.exit(1 if any(figures[name] for figures in found for name in wrong) else 0)


@contextmanager
def system() -> Iterator["Faults"]:
    """Yield a system that runs, with weddings that start in some weeks."""
    with systems.started("faults") as here:
        faults = Faults(here.home, here.servers, here.target)
        _fill()
        with systems.supervised(here.home, PROCESSES):
            form.wait_for(lambda: bool(faults.pids("schedules.beat")), within=90, every=0.1)
            yield faults


def _fill() -> None:
    from workers.weddings.formats.rows import Reading
    from workers.weddings.rules.calendar import VenueType, Wedding
    from workers.weddings.usecases import importing as usecases

    starts, lasts = clock.now() + timedelta(days=40), timedelta(hours=6)
    local = starts.replace(tzinfo=None)
    facts = local, local + lasts, "UTC", starts, starts + lasts, 100, VenueType.GARDEN, "us-west"
    usecases.take(Reading([Wedding(f"w-{number}", *facts) for number in range(WEDDINGS)]), now=clock.now())


@dataclass
class Faults:
    """A running system, what is done to it, and what came of it."""

    home: Path
    servers: dict[str, servers.Server]
    target: Target
    accepted: list[str] = field(default_factory=list)
    recoveries: dict[str, float] = field(
        default_factory=lambda: {"emergencies.open": 0.0, "caching.warm_up": 0.0}
    )

    def play(self, requests: int, kills: int, *, pause: float = 3.0) -> form.Figures:
        """Accept so many requests while so many things are killed; return what was lost and doubled."""
        ended, begun = Event(), clock.stopwatch()
        asking = Thread(target=self._ask, args=(requests, kills * pause / requests, ended))
        asking.start()
        for number in range(kills):
            sleep(pause)
            self._kill(FAULTS[number % len(FAULTS)], number // len(FAULTS))
        asking.join(600)
        ended.set()
        settled = self._settle()
        return self._count() | {
            "kills": kills,
            "seconds": clock.stopwatch() - begun,
            "settled": float(settled),
        }

    def _ask(self, requests: int, every: float, ended: Event) -> None:
        from workers import client

        for number in range(requests):
            key, due = f"fault/{number}", clock.stopwatch() + every
            while not ended.is_set():
                try:
                    # As a service would: the same key until it is accepted.
                    if number % WARM_UPS:
                        client.open_emergency("technical", f"w-{number % WEDDINGS}", request_key=key)
                    else:
                        client.warm_up("w-1", request_key=key)
                    self.accepted.append(key)
                    break
                except Exception:
                    sleep(0.2)
            sleep(max(0.0, due - clock.stopwatch()))

    def _kill(self, fault: str, round: int) -> None:
        if fault in self.servers:
            server = self.servers[fault]
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            self.servers[fault] = _again(server)
            return
        queue = ("emergency", "steady", "bulk")[round % 3]
        pids = self.pids("schedules.beat") if fault == "beat" else self.pids(f"-Q {queue}")
        if not pids:
            return
        at = clock.machine_now()
        os.kill(max(pids) if fault == "child" else min(pids), signal.SIGKILL)
        if fault != "beat":
            self._recovered(at)

    def _recovered(self, at: datetime) -> None:
        """Wait, a while, until what was accepted before a kill had its effect.

        Remember how long that took.
        """
        asked = "SELECT DISTINCT task FROM requests WHERE state = 'accepted' AND accepted_at <= :at"
        begun = clock.stopwatch()
        while (waited := clock.stopwatch() - begun) < 120:
            waiting = {row[0] for row in self.rows(asked, at=at)}
            for task in waiting:
                self.recoveries[task] = max(self.recoveries[task], waited)
            if not waiting:
                return
            sleep(0.1)

    def _settle(self) -> bool:
        done = "SELECT count(*) FROM requests WHERE state <> 'done'"
        unsent = "SELECT count(*) FROM outbox WHERE state <> 'sent'"
        until = clock.stopwatch() + 240
        while clock.stopwatch() < until:
            if self.rows(done) == [(0,)] and self.rows(unsent) == [(0,)]:
                return True
            sleep(0.5)
        return False

    def _count(self) -> form.Figures:
        effects = Counter(key for (key,) in self.rows("SELECT key FROM emergencies"))
        effects += Counter(
            key
            for (key,) in self.rows(
                "SELECT key FROM requests WHERE task = 'caching.warm_up' AND state = 'done'"
            )
        )
        steps = self.rows("SELECT count(*) - count(DISTINCT (emergency_id, number)) FROM emergency_steps")[0][
            0
        ]
        told = self.rows("SELECT count(*) FROM emergencies")[0][0]
        written = {key for (key,) in self.rows("SELECT key FROM outbox WHERE kind = 'notification'")}
        return {
            "accepted": len(self.accepted),
            "lost": len(set(self.accepted) - effects.keys()) + len(written - self.target.got.keys()),
            "double_effects": sum(effects.values()) - len(effects) + steps,
            # Of each its opening, and the step that is due then.
            "double_notifications": len(written) - 2 * told,
            "sent_again": sum(self.target.got.values()) - len(self.target.got),
            "notifications": len(self.target.got),
            "recovery_emergency_s": self.recoveries["emergencies.open"],
            "recovery_rest_s": self.recoveries["caching.warm_up"],
        }

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL, again while it is away."""
        from workers.foundation import database

        while True:
            try:
                with database.transaction() as db:
                    return [tuple(row) for row in db.execute(text(query), values)]
            except database.DatabaseUnavailable:
                sleep(0.2)

    def pids(self, words: str) -> list[int]:
        """Return the processes of ours whose command lines have `words`."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_text().replace("\0", " ")
                ours = os.environ["WEDOPS_BROKER_URL"] in (path / "environ").read_text()
            except OSError:
                continue
            if ours and words in command and "supervise" not in command:
                found.append(int(path.name))
        return found


def _again(server: servers.Server) -> servers.Server:
    # PostgreSQL's children hold on to its memory for a moment after it was killed.
    for _ in range(20):
        try:
            return server.again()
        except servers.ServerFailed:
            sleep(0.5)
    return server.again()


if __name__ == "__main__":
    main()
