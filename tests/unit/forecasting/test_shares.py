"""What past weddings teach, and whether a forecast may be believed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tests.made import wedding
from workers.forecasting.rules import calibration, shares
from workers.forecasting.rules import forecast as rules
from workers.forecasting.rules.calibration import Trust
from workers.forecasting.rules.shares import PHASES, VENUES, Array
from workers.simulation.rules import imagined
from workers.weddings.rules.calendar import Phase, VenueType
from workers.weddings.rules.calendar import Policy as Phases

POLICY = rules.Policy()
START = datetime(2026, 5, 1, tzinfo=UTC)
DAYS = 28


def _pasts(seed: int, true: shares.Shares, a_year: float = 20_000) -> dict[str, shares.Seen]:
    chance = np.random.default_rng(seed)
    days = [date(2026, 5, 1) + timedelta(days=day) for day in range(DAYS)]
    planned, found = list(imagined.weddings(days, a_year, chance)), {}
    for region, zone in imagined.REGIONS.items():
        here = [one for one in planned if one.region == region]
        load = imagined.load(here, START, DAYS * 1440, true, Phases(), chance, base=5)
        at = np.arange(0, DAYS * 1440, 30)
        found[region] = rules.seen(here, START.timestamp() + at * 60.0, load[at], POLICY, Phases(), zone=zone)
    return found


def test_what_people_really_do_is_learned_from_past_weddings() -> None:
    """In truth fewer guests look during the reception, and more during the ceremony."""
    assumed = POLICY.assumed
    ceremony, reception = PHASES.index(Phase.CEREMONY), PHASES.index(Phase.RECEPTION)
    guests = assumed.guests.copy()
    guests[ceremony] *= 1.4
    guests[reception] *= 0.6
    whole, own = shares.learn(assumed, _pasts(8, replace(assumed, guests=guests)))
    for learned in (whole, own["us-west"]):
        ratio = (learned.guests / assumed.guests).mean(axis=1)
        assert 1.1 < ratio[ceremony] < 1.6
        assert 0.5 < ratio[reception] < 0.75
        assert 0.15 < learned.spread < 0.7


def test_a_venue_that_was_never_seen_and_a_new_region_have_the_wholes_shares() -> None:
    pasts = _pasts(4, POLICY.assumed, a_year=2000)
    beach = VENUES.index(VenueType.BEACH)
    for past in pasts.values():
        past.guests[:, :, beach] = 0.0
    whole, own = shares.learn(POLICY.assumed, pasts)
    assert whole.guests[:, beach] == pytest.approx(POLICY.assumed.guests[:, beach])
    assert own["us-west"].guests[:, beach] == pytest.approx(whole.guests[:, beach])
    assert shares.learn(POLICY.assumed, {}) == (POLICY.assumed, {})


def test_who_is_there_without_a_wedding_is_the_base_by_hour_of_the_week() -> None:
    moments = START.timestamp() + np.arange(28 * 48) * 1800.0
    load = np.where(rules.hours_of_week(moments, "America/New_York") == 20, 90.0, 10.0)
    seen = rules.seen([], moments, load, POLICY, Phases(), zone="America/New_York")
    _, own = shares.learn(POLICY.assumed, {"us-northeast": seen})
    base = own["us-northeast"].base
    assert base[20] > 60
    assert base[21] == pytest.approx(10, abs=3)
    made = rules.forecast(
        "us-northeast",
        [],
        POLICY,
        Phases(),
        starts_at=START,
        shares=own["us-northeast"],
        zone="America/New_York",
    )
    saturday = datetime(2026, 5, 2, 0, 5, tzinfo=UTC)
    assert made.peak(saturday, saturday, "p50") == pytest.approx(10, abs=3)


def test_a_holiday_is_a_sunday() -> None:
    monday = datetime(2026, 9, 7, 18, tzinfo=UTC)
    at = np.array([monday.timestamp()])
    assert rules.hours_of_week(at, "UTC").tolist() == [18]
    assert rules.hours_of_week(at, "UTC", {monday.date()}).tolist() == [6 * 24 + 18]


def _quantiles(level: float) -> dict[str, Array]:
    return {
        name: np.full(200, level * (1 + z / 5))
        for name, z in zip(shares.QUANTILES, shares.NORMAL.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("level", "trust"),
    [
        (100, Trust.TRUSTED),
        (80, Trust.WIDER),
        (20, Trust.REACTIVE),
        (150, Trust.TRUSTED),
        (300, Trust.EXCESSIVE),
    ],
)
def test_a_forecast_that_says_too_little_is_widened_and_then_not_believed(level: float, trust: Trust) -> None:
    seen = 100 * (1 + np.random.default_rng(2).normal(0, 0.2, 200))
    score = calibration.score(_quantiles(level), seen)
    assert score.trust is trust
    assert (score.margin > 1) == (trust is Trust.WIDER)
    if level == 100:
        assert score.coverage["p90"] == pytest.approx(0.9, abs=0.05)
        assert abs(score.bias) < 0.05
        assert score.pinball["p50"] < calibration.score(_quantiles(300), seen).pinball["p50"]


def test_what_was_quiet_and_what_is_too_little_says_nothing() -> None:
    quiet = calibration.score({name: np.zeros(500) for name in shares.QUANTILES}, np.zeros(500))
    assert (quiet.pairs, quiet.trust) == (0, Trust.TRUSTED)
    # A calendar whose gateways are yet to come, and a forecast of five people where one is.
    for said, seen in ((900.0, 0.0), (5.0, 1.0)):
        much = calibration.score({name: np.full(500, said) for name in shares.QUANTILES}, np.full(500, seen))
        assert much.trust is Trust.TRUSTED
    few = calibration.score({name: np.full(10, 1.0) for name in shares.QUANTILES}, np.full(10, 99.0))
    assert few.trust is Trust.TRUSTED


def test_the_quantiles_of_a_learned_forecast_cover_what_they_say() -> None:
    """Learned on four weeks, held against the next one that the learner has not seen."""
    chance = np.random.default_rng(11)
    days = [date(2026, 5, 1) + timedelta(days=day) for day in range(DAYS + 15)]
    planned = [one for one in imagined.weddings(days, 60_000, chance) if one.region == "us-south"]
    true = imagined.truth(POLICY, chance)
    load = imagined.load(planned, START, (DAYS + 14) * 1440, true, Phases(), chance, base=5)
    at = np.arange(0, DAYS * 1440, 30)
    zone = "America/Chicago"
    past = rules.seen(planned, START.timestamp() + at * 60.0, load[at], POLICY, Phases(), zone=zone)
    _, own = shares.learn(POLICY.assumed, {"us-south": past})
    policy = rules.Policy(horizon=timedelta(days=14))
    made = rules.forecast(
        "us-south",
        planned,
        policy,
        Phases(),
        starts_at=START + timedelta(days=DAYS),
        shares=own["us-south"],
        zone=zone,
    )
    seen = load[DAYS * 1440 :].reshape(-1, 5).mean(axis=1)
    score = calibration.score(made.quantiles, seen)
    assert 0.80 <= score.coverage["p90"] <= 1.0
    assert abs(score.bias) < 0.15


def test_a_region_that_has_more_than_weddings_teaches_the_others_nothing_of_that() -> None:
    moments = START.timestamp() + np.arange(28 * 48) * 1800.0
    chance = np.random.default_rng(5)
    busy = rules.seen([], moments, chance.poisson(2_000, len(moments)).astype(float), POLICY, Phases())
    one = [
        wedding(f"w-{week}", starts_at=START + timedelta(days=7 * week + 2, hours=16)) for week in range(4)
    ]
    due = rules.forecast(
        "quiet", one, rules.Policy(horizon=timedelta(days=28)), Phases(), starts_at=START
    ).quantiles["p50"]
    quiet = rules.seen(one, moments, due[::6], POLICY, Phases())
    whole, own = shares.learn(POLICY.assumed, {"busy": busy, "quiet": quiet})
    coming = wedding(starts_at=START + timedelta(days=30))
    at = coming.starts_at + timedelta(hours=3)
    for known in (own["quiet"], whole):
        made = rules.forecast("quiet", [coming], POLICY, Phases(), starts_at=coming.starts_at, shares=known)
        assert made.peak(at, at, "p50") == pytest.approx(49, abs=12)
        assert (made.peak(at, at, "p99") or 0) < 200
    assert own["busy"].base.mean() == pytest.approx(2_000, rel=0.05)
