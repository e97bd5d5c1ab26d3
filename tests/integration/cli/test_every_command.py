"""Every command line of our pages, run on a system with a season in it.

And every --json, which is one object and no more.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests import ROOT
from tests.made import scaled, wedding
from tests.unit.cli.test_command_lines import ALTERNATIVES, LINES, _leaves
from tests.unit.weddings.test_formats import GOOD, HEADER
from workers.alerts.rules.kinds import Evaluator, Kind, Severity
from workers.alerts.rules.lifecycle import Breach, Policy
from workers.alerts.usecases import evaluation
from workers.balancing import store as balancing
from workers.cli.main import wedops
from workers.cli.problems import one_line
from workers.delivery.formats import SendMessage
from workers.delivery.usecases import sending
from workers.emergencies.formats import OpenEmergency
from workers.emergencies.usecases import running
from workers.foundation import clock, database, dead_letters, keys, redis, settings
from workers.measurements.rules.samples import Sample
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake, keeping
from workers.notify import store as notify
from workers.notify.rules import Target
from workers.processes import servers
from workers.weddings.store import weddings

#: These run for ever, start a system, or need one of somebody else.
NOT_RUN = {"up", "supervise", "watch", "ingest", "deliver", "listen"}
#: No worker, forecast or proposal is there: these say so, each tested by itself elsewhere.
MAY_REFUSE = {
    "doctor",
    "replay",
    "forecast show",
    "scaling approve",
    "scaling reject",
    "permit read",
    "forecast backtest",
    # Its steps are open; and no page has a file of protocols.
    "emergency close",
    "emergency protocols",
    # Its day is not watched: no worker is there.
    "weddings day",
    # A wedding is near.
    "gate",
    # Nobody has an address; nobody began one by hand.
    "weddings mode",
    # Nothing forecasts the weather there.
    "weddings weather",
    # Nothing is done by itself about that alert.
    "responses trigger",
    # It was never done.
    "weddings optimise",
    # No day was looked back on.
    "review",
    # What the pages report is none of this timeline.
    "weddings report",
}
PLACEHOLDERS = dict.fromkeys(("WEDDING", "WEDDING_ID", "W", "TENANT"), "w-17") | {
    "USER": "u1", "NODE": "n1", "REGION": "us-northeast", "ID": "1", "17": "1", "N": "4", "H": "2",
    "DATE": "2027-06-12",
    "D": "2026-10-10", "KIND": "venue", "SERIES": "guest_list_seconds", "JOB": "connections.sweep",
    "WHO": "operations-lead",
    "CHANNEL": "pager", "TOKEN": "no.permit.atall", "RESOURCE": "instances",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _season(world: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wedding today, a node, an action, an alert, a beat, a dead letter; and the files that pages name."""
    redis.registry().zadd(keys.BEATS, {"a-beat": clock.epoch()})
    balancing.report(balancing.Report("n1", "us-northeast", "ws://n1", 1000, connections=3))
    with database.transaction() as db:
        soon = clock.now() + timedelta(hours=2)
        weddings.upsert(
            db,
            [
                wedding("w-17", starts_at=soon, duties={"s1": {"type": "caterer"}}),
                wedding("w-18", starts_at=soon, region="us-west"),
            ],
            at=clock.now(),
        )
        scaled(db, at=clock.now())
        storm = OpenEmergency(kind="weather", wedding_id="w-17")
        running.open_emergency(db, storm, "storm", now=clock.now())
        said = SendMessage(
            wedding_id="w-17",
            headline="The ceremony is at 16:00, in the barn",
            moment="ceremony",
            moment_at=datetime(2027, 6, 12, 16),
        )
        sending.write(db, said, "to-16", sender="ada", now=clock.now())
        for who in ("operations-lead", "ada", "contacts"):
            notify.register(db, Target(who, "", "pager"), "log://")
    labels = (("region", "us-west"),)
    intake.take(
        [Sample("guest_list_seconds", labels, clock.epoch() - 120, 0.4)],
        sent_by=intake.Source("test"),
        now=clock.machine_now(),
    )
    intake.write(Writer("test"))
    keeping.roll_up(now=clock.machine_now() + timedelta(minutes=2))
    breach = Breach(
        Kind.CPU, "n1", Severity.HIGH, 0.9, "the processors of node n1 are 90 % busy", "us-northeast"
    )
    monkeypatch.setenv("ALERTS_PENDING_FOR", "0s")
    evaluation.reconcile([breach], Evaluator.MEASUREMENTS, settings.read(Policy), now=clock.now())
    dead_letters.keep("bulk", "a reason", dead_letters.enveloped("caching.warm_up", "i", [], {}, "bulk"))
    (tmp_path / "season.csv").write_text(HEADER + GOOD)
    (tmp_path / "paths.toml").write_text('[[path]]\nname = "all"\n[[path.steps]]\nwho = ["operations"]\n')
    moments = {"ceremony": f"{soon - timedelta(hours=4):%H:%M}"}
    (tmp_path / "timeline.json").write_text(json.dumps(moments))
    monkeypatch.chdir(tmp_path)


def _words(line: str) -> list[str]:
    line = line.replace("suppliers limit ID N", "suppliers limit s1 300")
    if "dead-letters replay" in line:
        return ["dead-letters", "replay", dead_letters.newest()[0].id]
    line = (
        ALTERNATIVES.sub(r"\1", line)
        .replace("--at …", "--at 2027-06-12T14:30")
        .replace("--reason …", "--reason why")
    )
    line = line.replace("FILE", "season.csv")
    words = shlex.split(re.split(r"\s(?:#|\||>|&&)\s?|…|\)", line, maxsplit=1)[0])
    return [PLACEHOLDERS.get(word, word).partition("|")[0] for word in words]


def _is_said(done: object) -> bool:
    """Tell whether a command did what it was asked, or said in one line why not."""
    error = getattr(done, "exception", None)
    return error is None or isinstance(error, SystemExit) or one_line(error) is not None


#: Played from a week before to Monday, and compared with its page (tests/acceptance/test_wedding_day.py).
PLAYED = "saturday.md"


@pytest.mark.parametrize(("page", "line"), [one for one in LINES if one[0] != PLAYED])
def test_a_command_line_of_our_pages_does_what_it_says(page: str, line: str) -> None:
    words = _words(line)
    if not words or words[0] in NOT_RUN:
        pytest.skip("it runs for ever, or starts a system")
    done = CliRunner().invoke(wedops, words, input="log://\n" if words[:2] == ["contacts", "add"] else "y\n")
    assert _is_said(done), f"{page}: wedops {line}: {done.exception!r}"
    assert "Traceback" not in done.output
    if "Missing argument" in done.output or "Missing option" in done.output:
        pytest.skip("the page names the command, and says elsewhere what it needs")
    may_refuse = words[0] in MAY_REFUSE or " ".join(words[:2]) in MAY_REFUSE
    assert may_refuse or done.exit_code in (0, 3), f"{page}: {words}: {done.output}{done.exception}"


JSON = [
    (" ".join(path), command)
    for path, command in _leaves(wedops)
    if any("--json" in option.opts for option in command.params) and path[0] not in NOT_RUN
]
#: What a command can't be asked without.
ARGUMENTS = {
    "metrics show": ("guest_list_seconds",), "person": ("w-17", "u1"), "presence": ("w-17",),
    "forecast show": ("us-northeast",), "scaling regret": ("us-northeast",), "scaling why": ("1",),
    "plan day": ("2027-06-12",), "plan peak": ("--connections", "3000", "--hours", "2"),
    "simulate": ("--seed", "7"),
    "replay": ("us-northeast", "--from", "2026-11-01", "--to", "2026-11-02"),
    "weddings import": ("season.csv",),
    "gate": ("deploy",), "review": (f"{clock.now():%Y-%m-%d}",),
    "weddings show": ("w-17",), "weddings mode": ("w-17",), "weddings timeline": ("w-17",),
    "weddings day": ("w-17",),
    "messages show": ("m-1",),
    "emergency show": ("1",),
    "cache key": ("wedding", "w-17"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "command"), JSON, ids=[path for path, _ in JSON])
def test_json_is_one_object_and_nothing_else(path: str, command: click.Command) -> None:
    done = CliRunner().invoke(wedops, [*path.split(), *ARGUMENTS.get(path, ()), "--json"])
    assert _is_said(done), f"{path}: {done.exception!r}"
    assert done.exit_code != 2, done.output
    if not done.stdout:
        # What has nothing to tell of yet says so in one line, to standard error.
        assert done.exit_code == 1
        return
    found = json.loads(done.stdout)
    assert str(found["schema"]).startswith("wedops.")


def test_rows_of_every_table_that_is_shown_are_json() -> None:
    """Names of columns are SQLAlchemy's own texts, which JSON does not take."""
    with database.transaction() as db:
        for statement in (
            "INSERT INTO degradation_responses (alert_id, round, number, kind, region, action, reason, "
            "outcome, before, at) SELECT id, 1, 1, 'cpu', 'east', 'grow_cache', 'r', 'acting', 1, now() "
            "FROM performance_alerts LIMIT 1",
            "INSERT INTO optimization_results (key, kind, wedding_id, actions, detail, at) "
            "VALUES ('k', 'warm_up', 'w-17', 3, '{}', now())",
            "INSERT INTO wedding_performance_metrics (wedding_id, objective, total, bad, budget_left, at) "
            "VALUES ('w-17', 'guest_list', 9, 1, 0.5, now())",
        ):
            db.exec_driver_sql(statement)
    for words, part in (("responses", "responses"), ("weddings show w-17", "results")):
        done = CliRunner().invoke(wedops, [*words.split(), "--json"])
        assert done.exit_code == 0, done.exception
        assert json.loads(done.stdout)[part]


@pytest.mark.parametrize("variable", ["WEDOPS_BROKER_URL", "WEDOPS_CACHE_URL", "WEDOPS_DATABASE_URL"])
@pytest.mark.parametrize("words", [("status",), ("timeline",), ("nodes",), ("alerts", "list")])
def test_what_is_logged_goes_to_standard_error(variable: str, words: tuple[str, ...]) -> None:
    nobody = (
        make_url(os.environ[variable]).set(port=servers.free_port()).render_as_string(hide_password=False)
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.wedops", *words, "--json"],
        cwd=ROOT, env=os.environ | {variable: nobody}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if done.stdout:
        assert str(json.loads(done.stdout)["schema"]).startswith("wedops.")
    else:
        assert done.stderr.splitlines()[-1].startswith("wedops: ")
