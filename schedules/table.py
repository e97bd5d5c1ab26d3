"""When each job runs: its pace on an ordinary, a season and a wedding day, and why."""

from dataclasses import dataclass
from typing import Any

from schedules.words import Pace, daily_at, minutes, seconds
from workers.alerts import tasks as alerts
from workers.balancing import tasks as balancing
from workers.caching import tasks as caching
from workers.commands import tasks as commands
from workers.connections import tasks as connections
from workers.delivery import tasks as delivery
from workers.emergencies import tasks as emergencies
from workers.forecasting import tasks as forecasting
from workers.journal import tasks as journal
from workers.measurements import tasks as measurements
from workers.notify import tasks as notify
from workers.operations import tasks as operations
from workers.responses import tasks as responses
from workers.retention import tasks as retention
from workers.scaling import tasks as scaling
from workers.seasons import tasks as seasons
from workers.seasons.rules.season import KindOfDay
from workers.snapshots import tasks as snapshots
from workers.wedding_day import tasks as wedding_day


@dataclass(frozen=True)
class Line:
    """A job and its paces."""

    job: Any
    ordinary: Pace
    season: Pace
    wedding_day: Pace
    because: str

    @property
    def name(self) -> str:
        """Return the task's name, which is the job's."""
        return str(self.job.name)

    def pace(self, kind: KindOfDay) -> Pace:
        """Return the pace on a kind of day."""
        pace: Pace = getattr(self, kind)
        return pace


# fmt: off
TABLE = (
    #    job                         ordinary           season             wedding day        because
    Line(connections.sweep,          seconds(30),       seconds(30),       seconds(10),       "an abandoned connection may hold a supplier's last place"),
    Line(connections.snapshot,       seconds(60),       seconds(30),       seconds(10),       "what decides must not be older than what it decides"),
    Line(connections.publish_levels, seconds(60),       seconds(60),       seconds(15),       "guests wait first when it is busy, and not a minute later"),
    Line(connections.audit,          minutes(10),       minutes(10),       minutes(10),       "counts must never drift; this proves it for some shards, or says so"),
    Line(balancing.watch_nodes,      seconds(5),        seconds(5),        seconds(2),        "a node's people must be elsewhere within 10 s"),
    Line(balancing.scrape,           seconds(60),       seconds(30),       seconds(10),       "stock Supabase nodes keep no registry: they are asked"),
    Line(balancing.probe,            seconds(30),       seconds(30),       seconds(10),       "who has no people yet must be known to work; silence is not health"),
    Line(balancing.place,            seconds(60),       seconds(60),       seconds(15),       "a wedding is placed before its first guest comes"),
    Line(scaling.decide,             seconds(60),       seconds(60),       seconds(15),       "an instance takes about 2 minutes to serve"),
    Line(scaling.reconcile,          minutes(2),        minutes(2),        minutes(1),        "a restart or a hand may have set it otherwise"),
    Line(scaling.look_ahead,         daily_at("04:10"), daily_at("04:10"), daily_at("04:10"), "more room than there may be takes weeks to arrange"),
    Line(scaling.verify,             seconds(30),       seconds(30),       seconds(5),        "an action that has no effect must be noticed before people do"),
    Line(alerts.check,               seconds(60),       seconds(30),       seconds(10),       "8 hours at 99.9 % leave 28.8 seconds"),
    Line(alerts.escalate,            seconds(15),       seconds(15),       seconds(5),        "also at once after each change; this is for the steps that come due"),
    Line(responses.respond,          seconds(60),       seconds(30),       seconds(10),       "a step has half a minute to help before the next one"),
    Line(alerts.watch,               seconds(30),       seconds(30),       seconds(10),       "a job that stopped says nothing by itself"),
    Line(forecasting.refresh,        minutes(60),       minutes(30),       minutes(10),       "also on every change of the calendar"),
    Line(forecasting.evaluate,       minutes(60),       minutes(60),       minutes(30),       "who forecasts badly must not be believed"),
    Line(forecasting.learn,          daily_at("04:20"), daily_at("04:20"), daily_at("04:20"), "last Saturday says how the next one will be"),
    Line(seasons.detect,             daily_at("03:10"), daily_at("03:10"), daily_at("03:10"), "also on every change of the calendar"),
    Line(seasons.publish_day,        seconds(60),       seconds(60),       seconds(15),       "every other pace follows it"),
    Line(wedding_day.look,           seconds(30),       seconds(10),       seconds(5),        "each wedding at the moments when something of it is due"),
    Line(wedding_day.list_due,       minutes(10),       minutes(10),       minutes(5),        "a wedding that Redis lost would never be looked at"),
    Line(wedding_day.watch,          seconds(60),       seconds(30),       seconds(10),       "who is warned half an hour ahead can still move something"),
    Line(wedding_day.optimise,       minutes(5),        minutes(2),        seconds(60),       "what was made ready is measured a minute later"),
    Line(wedding_day.verify,         minutes(5),        minutes(2),        seconds(60),       "a backup that does not answer is none"),
    Line(wedding_day.forecast_weather, minutes(30),     minutes(30),       minutes(30),       "a plan B takes a day to arrange"),
    Line(wedding_day.check_ready,    minutes(10),       minutes(10),       minutes(10),       "what is red a day before can still be mended"),
    Line(wedding_day.learn,          daily_at("04:30"), daily_at("04:30"), daily_at("04:30"), "last Saturday says how the next one will go"),
    Line(operations.review,          minutes(60),       minutes(60),       minutes(60),       "a Saturday is looked back on on Monday, while all know it"),
    Line(commands.redeliver,         seconds(15),       seconds(15),       seconds(5),        "what was accepted must have its effect"),
    Line(notify.deliver,             seconds(15),       seconds(15),       seconds(5),        "also at once after each change; this is for what failed"),
    Line(emergencies.escalate,       seconds(10),       seconds(10),       seconds(5),        "a deadline that passes is told at once, not at the next check"),
    Line(delivery.rehearse,          minutes(15),       minutes(15),       minutes(15),       "a week and a day before, while there is time to mend a contact"),
    Line(caching.forget,             seconds(30),       seconds(30),       seconds(10),       "who is woken by a change may have died on the way"),
    Line(caching.compare,            seconds(60),       seconds(60),       seconds(60),       "an invalidation that was lost is seen by nothing else"),
    Line(caching.warm,               seconds(10),       seconds(10),       seconds(10),       "what is warmed must be warm before its people come"),
    Line(caching.expire,             minutes(2),        minutes(2),        minutes(2),        "expired copies take the places of living ones"),
    Line(caching.inspect,            minutes(10),       minutes(10),       minutes(10),       "sizes, evictions and orphans drift slowly"),
    Line(measurements.detect,        seconds(10),       seconds(10),       seconds(10),       "its sweeps are evenly spaced: that is how it learned"),
    Line(measurements.roll_up,       seconds(60),       seconds(60),       seconds(60),       "what is asked of hours must not read points"),
    Line(measurements.retain,        minutes(30),       minutes(30),       minutes(30),       "fired often, done once a day while no wedding is near; old days go, the coming ones are made"),
    Line(snapshots.retain,           minutes(30),       minutes(30),       minutes(30),       "the same for snapshots, by the world's days"),
    Line(journal.retain,             minutes(30),       minutes(30),       minutes(30),       "the same for what happened"),
    Line(retention.forget,           minutes(30),       minutes(30),       minutes(30),       "the same for what is over for long"),
)
# fmt: on
