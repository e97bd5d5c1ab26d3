"""Wedding days, as Celery runs them: a batch at a time, never a task a wedding."""

from typing import Any

from sqlalchemy import Connection

from workers.app import Task, app
from workers.commands.usecases import commands
from workers.foundation import clock, database, logs
from workers.wedding_day.formats import BeginMode, ChangeTimeline, Optimise, ReportMoment
from workers.wedding_day.usecases import (
    learning,
    looking,
    maintaining,
    modes,
    optimising,
    readiness,
    reporting,
    watching,
    weather,
)
from workers.weddings.usecases import reading, timelines

log = logs.get("wedding_day")


@app.task(name="wedding_day.list_due")
def list_due(**_later: object) -> None:
    """List the weddings to come to be looked at, those that are not listed or too late.

    Redis may have lost them or been unavailable.
    """
    now = clock.now()
    looking.list_due(now=now)
    maintaining.publish_window(now=now, machine=clock.machine_now())


@app.task(name="wedding_day.look")
def look(**_later: object) -> None:
    """See which phase weddings are in whose turn it is, and have them warm before their people come."""
    looking.look(now=clock.now())


@app.task(name="wedding_day.watch")
def watch(**_later: object) -> None:
    """See how all days go that are on or begin soon, and warn of critical moments that will be late."""
    seen = watching.watch(now=clock.now())
    if seen.warnings:
        log.info("warned", reason="deviation_ahead", weddings=seen.days, count=seen.warnings)


@app.task(name="wedding_day.learn")
def learn(**_later: object) -> None:
    """Learn of past days how moments go."""
    with database.transaction() as db:
        learning.learn(db, now=clock.now())


@app.task(name=ReportMoment.task, bind=True)
def report(self: Task, **fields: Any) -> None:
    """Take what somebody says of a moment."""

    def _report(db: Connection, command: ReportMoment, key: str) -> str:
        return f"{command.moment or command.by} {reporting.report(db, command, key, now=clock.now()).what}"

    commands.run(ReportMoment, fields, _report, task_id=self.request.id)


@app.task(name=ChangeTimeline.task, bind=True)
def change_timeline(self: Task, **fields: Any) -> None:
    """Give a wedding another timeline."""

    def _change(db: Connection, command: ChangeTimeline, key: str) -> str:
        by, expected = commands.caller(db, key), command.if_version
        version = timelines.change(
            db, command.wedding_id, command.moments, by=by, expected=expected, now=clock.now()
        )
        return f"timeline of version {version}"

    commands.run(ChangeTimeline, fields, _change, task_id=self.request.id)
    timelines.changed(str(fields.get("wedding_id")), now=clock.now())


@app.task(name=BeginMode.task, bind=True)
def begin_mode(self: Task, **fields: Any) -> None:
    """Hold a wedding in a mode."""

    def _begin(db: Connection, command: BeginMode, key: str) -> str:
        return modes.begin(db, command, by=commands.caller(db, key), now=clock.now()).mode

    commands.run(BeginMode, fields, _begin, task_id=self.request.id)


@app.task(name="wedding_day.optimise")
def optimise(**_later: object) -> None:
    """Do what makes weddings fast that are a week, a day or two hours ahead, or in trouble."""
    optimising.optimise(now=clock.now(), machine=clock.machine_now())


@app.task(name=Optimise.task, bind=True)
def optimise_wedding(self: Task, **fields: Any) -> None:
    """Optimise for a wedding that somebody asks for."""

    def _check(_db: Connection, command: Optimise, _key: str) -> str:
        return f"optimised for {reading.find(command.wedding_id).id}"

    commands.run(Optimise, fields, _check, task_id=self.request.id)
    key, now, machine = str(fields.get("request_key") or self.request.id), clock.now(), clock.machine_now()
    optimising.by_hand(fields["wedding_id"], key=key, now=now, machine=machine, waits=False)


@app.task(name="wedding_day.verify")
def verify(**_later: object) -> None:
    """See who of the weddings that are armed or live has a backup connection that answers."""
    modes.verify(now=clock.now())


@app.task(name="wedding_day.forecast_weather")
def forecast_weather(**_later: object) -> None:
    """Forecast the weather of weddings in the open air that are near, and warn their planners."""
    weather.forecast(now=clock.now())


@app.task(name="wedding_day.check_ready")
def check_ready(**_later: object) -> None:
    """Tell who has to see to what is red of weddings, a week, a day and four hours before."""
    with database.transaction() as db:
        readiness.check(db, now=clock.now())
