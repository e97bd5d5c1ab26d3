"""Beat: the table as Celery's scheduler.

Any number of beats may run; each moment of a job is fired by one of them. There is no leader. The moments of
a job lie on a grid that every beat computes alike, and a beat that finds one due claims it in Redis before it
sends: the first claim wins. So a beat that dies leaves no gap, and two never fire twice.

    celery -A schedules.beat beat
"""

import socket
from typing import Any

from celery import signals
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from schedules.table import TABLE, Line
from schedules.words import Pace
from workers.app import app
from workers.foundation import clock, heartbeat, jobs, keys, logs, redis
from workers.seasons import store as seasons
from workers.seasons.rules.season import KindOfDay

log = logs.get("beat")

#: Beat looks at the kind of day this often, and sleeps no longer.
TICK = 1.0
#: In seconds: on every kind of day something is due far more often.
IDLE_MAX = 90.0


class TableScheduler(Scheduler):
    """Fires what is due by the table and the kind of day, once, however many beats there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start on an ordinary day; the first tick knows better."""
        self._kind = KindOfDay.ORDINARY
        self._name = f"{socket.gethostname()}-{clock.epoch():.6f}"
        self._tried: dict[str, float] = {}
        self._fired = clock.stopwatch()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Show the table's entries to Celery; what fires is decided anew in each tick."""
        self.data = {line.name: self._entry(line, line.pace(self._kind), 0.0) for line in TABLE}
        self._warned = False

    def tick(self, *_args: Any, **_kwargs: Any) -> float:
        """Fire what is due; return the seconds until something is due next.

        A Redis that is unavailable costs a tick.
        """
        # A beat that goes round and fires nothing shows no sign of life.
        if clock.stopwatch() - self._fired < IDLE_MAX:
            heartbeat.touch()
        epoch = clock.epoch()
        try:
            self._follow_the_day(epoch)
            if not self._warned:
                jobs.expect({line.name: line.pace(self._kind).every for line in TABLE})
                self._warned = True
            for line in TABLE:
                self._fire_if_due(line, epoch)
        except RedisError as error:
            # That is not its fault, and a restart would not help.
            self._fired = clock.stopwatch()
            log.error("tick failed", reason="redis", detail=str(error))
            if redis.is_missing_function(error):
                self._have_functions_loaded()
            return TICK
        return self._wait()

    def _have_functions_loaded(self) -> None:
        # A broker that was replaced or emptied: without functions nobody could register, and no job would
        # run. A worker loads them: who loads functions decides what all others run.
        try:
            app.wake("connections.restore")
        except (RedisError, OperationalError) as error:
            log.error("functions not loaded", reason="redis", detail=f"{error}; run `wedops migrate`")

    def _follow_the_day(self, epoch: float) -> None:
        with redis.registry().pipeline(transaction=False) as pipe:
            pipe.zadd(keys.BEATS, {self._name: epoch})
            pipe.zremrangebyscore(keys.BEATS, "-inf", epoch - jobs.ALIVE_FOR)
            pipe.zremrangebyscore(keys.BEATS, epoch + jobs.ALIVE_FOR, "+inf")
            pipe.execute()
        kind = seasons.kind_of_day(clock.now())
        if kind is not self._kind:
            log.info("pace changed", before=self._kind, to=kind, reason="kind_of_day")
            self._kind = kind
            self.setup_schedule()

    def _fire_if_due(self, line: Line, epoch: float) -> None:
        pace = line.pace(self._kind)
        due = pace.due(line.name, epoch)
        tried = self._tried.get(line.name, 0.0)
        # A moment of the future was tried by a clock that was put right meanwhile.
        if due <= (tried if tried <= epoch else 0.0) or epoch - due > pace.grace:
            return
        self._fired = clock.stopwatch()
        heartbeat.touch()
        if jobs.claim(line.name, due=due, pace=pace.every, beat=self._name):
            try:
                self.apply_async(self._entry(line, pace, due), producer=self.producer, advance=False)
            except SchedulingError as error:
                log.error("job not sent", job=line.name, reason="broker", detail=str(error))
                jobs.unclaim(line.name, due=due)
                return
        self._tried[line.name] = due

    def _entry(self, line: Line, pace: Pace, due: float) -> ScheduleEntry:
        headers = {"job": {"name": line.name, "due": due}}
        options = {"expires": pace.grace, "headers": headers}
        return self.Entry(line.name, task=line.name, schedule=pace.every, options=options, app=self.app)

    def _wait(self) -> float:
        epoch = clock.epoch()
        moments = ((line.pace(self._kind), line.name) for line in TABLE)
        waits = (pace.due(name, epoch) + pace.every - epoch for pace, name in moments)
        return max(0.0, min(TICK, *waits))

    def close(self) -> None:
        """Leave the list of beats."""
        try:
            redis.registry().zrem(keys.BEATS, self._name)
        except redis.UNREACHABLE:
            log.warning("still listed as a beat", reason="redis_unreachable")
        super().close()


@signals.beat_init.connect
def _ready(**_later: Any) -> None:
    heartbeat.touch()


app.conf.beat_scheduler = "schedules.beat:TableScheduler"
