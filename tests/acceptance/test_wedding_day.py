"""A Saturday of the demo, from a week before to Monday's review."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import ROOT
from tests.acceptance import story
from tests.acceptance.story import Story
from workers.cli.main import wedops
from workers.foundation import clock
from workers.foundation.moments import Moment

pytestmark = [pytest.mark.usefixtures("world"), pytest.mark.timeout(300)]


@pytest.fixture
def told(world: object, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Play it: a storm is forecast, and the flowers come late."""
    monkeypatch.setenv("SEASONS_PEAK_FROM", "99")
    when = Moment(story.datetime(2026, 10, 10, 15, tzinfo=story.ZoneInfo("UTC")))
    monkeypatch.setattr(clock, "now", lambda: when)
    with story.sky(story.datetime(2026, 10, 10, 20, tzinfo=story.ZoneInfo("UTC"))) as url:
        monkeypatch.setenv("WEATHER_URL", url)
        return story.play(lambda at: monkeypatch.setattr(clock, "now", lambda: at))


def _said(told: Story, stage: str) -> str:
    return "\n".join(shown for _, shown in told.seen[stage])


def test_a_saturday_from_a_week_before_to_monday(told: Story, tmp_path: Path) -> None:
    id = told.wedding.id
    assert f"{id} is scheduled" in _said(told, "a week before")
    assert "prepared: Plan B" in _said(told, "two days before")
    assert f"{id} is armed" in _said(told, "a day before")
    day = _said(told, "an hour before")
    assert "late with" in day
    assert "warned" in day
    assert "closed" in day
    assert "couple 1 of 1, planner 0 of 1" in day
    assert "went" in _said(told, "after the ceremony")
    assert f"{id} is winding down" in _said(told, "the evening")
    review = _said(told, "Monday")
    assert "# Saturday, 10 October 2026" in review
    assert f"- {id} (" in review
    assert "dinner late" in review
    picture = Path(os.environ.get("WEDOPS_STORY", tmp_path)) / "wedding-day.png"
    done = CliRunner().invoke(wedops, ["weddings", "day", id, "--picture", str(picture)])
    assert done.exit_code == 0, done.exception
    assert picture.stat().st_size > 10_000
    assert _missing(told) == [], "docs/guides/saturday.md shows what is played here"


def _missing(told: Story) -> list[str]:
    """Return the lines of the page's terminals that nobody saw in the story."""
    page = (ROOT / "docs/guides/saturday.md").read_text()
    shown = {line for seen in told.seen.values() for _, text in seen for line in text.splitlines()}
    asked = {f"$ {words}" for seen in told.seen.values() for words, _ in seen}
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip() not in ("", "...")]
    return [line for line in lines if line not in shown | asked]
