"""One truth about whether a region acts.

Command, decision, carrying out, HTTP and the view for KEDA say the same.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product

import orjson
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import Connection, text

from tests.made import scaled, wedding
from workers.cli.scaling.seen import show
from workers.foundation import clock, database, settings
from workers.http.routes import api
from workers.scaling import tasks
from workers.scaling.rules.orders import Kind, Mode, Order
from workers.scaling.rules.policy import Policy
from workers.scaling.store import gateways, orders
from workers.scaling.usecases import modes, readings
from workers.weddings.store import weddings

pytestmark = pytest.mark.usefixtures("world")

Giver = Callable[[Connection, str, datetime], None]


def _given(
    kind: Kind, *, lasts: timedelta | None = None, ago: timedelta = timedelta(0), ended: bool = False
) -> Giver:
    """Return what gives such an order for a region, some time ago, and maybe ends it."""

    def give(db: Connection, region: str, now: datetime) -> None:
        at = now - ago
        orders.give(db, Order(region, kind, "a test", "tester", at, at + lasts if lasts else None))
        if ended:
            orders.end(db, region, kind, by="tester", at=now)

    return give


HOUR = timedelta(hours=1)
STEPS = {
    "live": _given(Kind.LIVE),
    "live for an hour": _given(Kind.LIVE, lasts=HOUR),
    "live, and over": _given(Kind.LIVE, lasts=HOUR, ago=2 * HOUR),
    "live, ended": _given(Kind.LIVE, ended=True),
    "shadow": _given(Kind.SHADOW),
    "shadow for an hour": _given(Kind.SHADOW, lasts=HOUR),
    "shadow, and over": _given(Kind.SHADOW, lasts=HOUR, ago=2 * HOUR),
    "shadow, ended": _given(Kind.SHADOW, ended=True),
    "held": _given(Kind.SUSPEND_SCALE_IN, lasts=HOUR),
}
#: Every order alone, after every other one, and none at all: a region each.
CASES = [(), *product(STEPS), *product(STEPS, repeat=2)]


@pytest.mark.parametrize(("setting", "predictive"), [("shadow", "true"), ("live", "true"), ("live", "false")])
def test_everybody_says_the_same_mode(setting: str, predictive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_NEW_REGIONS", setting)
    monkeypatch.setenv("PREDICTIVE_SCALING_ENABLED", predictive)
    now, regions = clock.now(), {f"r{number}": case for number, case in enumerate(CASES)}
    # One without a wedding: it has what was decided while it had one.
    regions["left"] = ()
    with database.transaction() as db:
        here = [region for region in regions if region != "left"]
        weddings.upsert(
            db,
            [wedding(f"w-{region}", region=region, starts_at=now + timedelta(days=9)) for region in here],
            at=now,
        )
        for region, case in regions.items():
            scaled(db, region=region, to=4, at=now - timedelta(minutes=5))
            for step in case:
                STEPS[step](db, region, now)
    tasks.decide()
    policy = settings.read(Policy)
    with database.transaction() as db:
        mode = {region: modes.mode_of(db, region, policy, now=now) for region in regions}
        decided = {
            one.region: Mode.SHADOW if one.shadow else Mode.LIVE
            for one in readings.readings(db, policy, now=now)
        }
        watched = modes.in_shadow(db, policy, orders.active(db, at=now), also=regions)
        view = {
            row.region
            for row in db.execute(text("SELECT region FROM keda_desired WHERE resource = 'instances'"))
        }
    shown = {
        row["region"]: row["mode"]
        for row in orjson.loads(CliRunner().invoke(show, ["--json"]).output)["regions"]
    }
    with TestClient(api) as web:
        answers = {
            region: web.get("/v1/desired/instances", params={"region": region}).status_code
            for region in regions
        }
    for region, case in regions.items():
        acts = mode[region] is Mode.LIVE
        told = decided[region] is Mode.LIVE, region not in watched, region in view, shown[region] == "live"
        said = *told, answers[region] == 200, bool(gateways.published(region))
        assert set(said) == {acts}, (case, said)
    assert set(mode.values()) == ({Mode.LIVE, Mode.SHADOW} if predictive == "true" else {Mode.SHADOW})
