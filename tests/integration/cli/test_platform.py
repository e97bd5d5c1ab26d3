"""Names that the platform already uses.

Its variables and switches are taken, what is written about a wedding can be read.
"""

import os

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.made import wedding
from tests.unit.alerts.test_muting import standing
from workers.alerts import adapters as live
from workers.alerts.rules import muting
from workers.alerts.rules.kinds import Kind, Tempo
from workers.alerts.rules.lifecycle import Policy
from workers.alerts.rules.muting import Around
from workers.alerts.usecases import escalation
from workers.caching.store import results as caching
from workers.cli import doctor
from workers.cli.main import wedops
from workers.cli.settings import platform
from workers.foundation import clock, database, settings
from workers.scaling.rules.orders import Kind as Ordered
from workers.scaling.rules.orders import Mode, mode
from workers.scaling.rules.policy import Policy as ScalingPolicy
from workers.seasons.rules.season import KindOfDay, kind_of_day
from workers.seasons.rules.season import Policy as SeasonsPolicy
from workers.weddings.rules.calendar import Phase
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")


#: A ceremony is on.
ON = Around(100, frozenset({Phase.CEREMONY}), 1)


def _run(*words: str) -> str:
    done = CliRunner().invoke(wedops, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


def test_a_wedding_is_shown_with_what_became_of_it() -> None:
    now = clock.now()
    with database.transaction() as db:
        weddings.upsert(db, [wedding("w-9", starts_at=now)], at=now)
        caching.record(db, [caching.Result("k", "warm_up", "w-9", {"entries": 7})], at=now)
        db.execute(
            text("INSERT INTO wedding_performance_metrics VALUES ('w-9', 'guest_list', 200, 3, 0.25, now())")
        )
    shown = _run("weddings", "show", "w-9")
    assert "100 guests, garden, us-northeast, suppliers: s1 s2" in shown
    assert "guest_list          3 bad of 200, 25% of its budget left" in shown
    assert "warm_up: 7 entries" in shown
    found = orjson.loads(_run("weddings", "show", "w-9", "--json"))
    assert (found["wedding"]["id"], found["objectives"][0]["bad"], found["results"][0]["actions"]) == (
        "w-9",
        3,
        7,
    )
    assert "is not in the calendar" in str(
        CliRunner().invoke(wedops, ["weddings", "show", "nobody"]).exception
    )


def test_doctor_knows_the_platforms_names_and_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in platform():
        monkeypatch.setenv(name, "redis://127.0.0.1:6379" if name == "REDIS_URL" else "true")
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co")
    monkeypatch.setenv("METRICS_AHEAD_DAYS", "4")
    said = list(doctor._settings())
    assert [line for line in said if "is no setting" in line] == []
    assert any(
        "METRICS_AHEAD_DAYS is called SNAPSHOTS_AHEAD_DAYS and MEASUREMENTS_AHEAD_DAYS now" in line
        for line in said
    )


@pytest.mark.parametrize(
    "switch",
    [
        "PREDICTIVE_SCALING_ENABLED",
        "PERFORMANCE_MONITORING_ENABLED",
        "WEDDING_DAY_MONITORING",
        "WEDDING_DAY_ENHANCED_MONITORING",
    ],
)
def test_a_switch_of_the_platform_is_heeded_and_never_silent(
    switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALING_NEW_REGIONS", "live")
    for value, off in (("true", False), ("false", True)):
        monkeypatch.setenv(switch, value)
        scaling, alerts, seasons = (settings.read(one) for one in (ScalingPolicy, Policy, SeasonsPolicy))
        near = [wedding(starts_at=clock.now())]
        heeded = {
            "PREDICTIVE_SCALING_ENABLED": mode({Ordered.LIVE}, scaling) is Mode.SHADOW,
            "PERFORMANCE_MONITORING_ENABLED": bool(muting.switched_off([standing()], alerts)),
            "WEDDING_DAY_MONITORING": kind_of_day(near, [], seasons, now=clock.now())[0]
            is KindOfDay.ORDINARY,
            "WEDDING_DAY_ENHANCED_MONITORING": escalation._tempo(ON, alerts, clock.now()) is Tempo.ORDINARY,
        }
        assert heeded == dict.fromkeys(heeded, False) | {switch: off}
        assert orjson.loads(_run("status", "--json"))["switched_off"] == ([switch] if off else [])


def test_what_failed_is_told_whatever_is_switched_off() -> None:
    own = [standing(number, kind) for number, kind in enumerate(Kind)]
    muted = {own[number].kind for number in muting.switched_off(own, Policy(performance=False))}
    assert Kind.RESPONSE_TIME in muted
    failed = {
        Kind.NODE_OUT,
        Kind.WATCH_STOPPED,
        Kind.ACTION_FAILED,
        Kind.RESPONSE_FAILED,
        Kind.DATABASE,
        Kind.JOB_STOPPED,
    }
    assert not muted & failed


def test_the_platforms_own_variables_are_taken_where_ours_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://platform:6379/3")
    assert settings.servers().broker_url == os.environ["WEDOPS_BROKER_URL"]
    monkeypatch.delenv("WEDOPS_BROKER_URL")
    monkeypatch.delenv("WEDOPS_CACHE_URL")
    assert settings.servers().broker_url == "redis://platform:6379/3"
    assert settings.servers().cache_url == settings.Servers().cache_url, (
        "a cache evicts: the broker's server must not"
    )
    monkeypatch.setenv("REDIS_URL", "http://platform")
    with pytest.raises(settings.SettingInvalid, match="^REDIS_URL"):
        settings.servers()
    assert live.Policy().address == ""
    monkeypatch.setenv("SUPABASE_URL", "https://project.supabase.co/")
    assert settings.read(live.Policy).address == ""
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "a-key")
    found = settings.read(live.Policy)
    assert (found.address, found.token(0)) == (
        "https://project.supabase.co/realtime/v1/api/broadcast",
        "a-key",
    )
