"""What our pages name exists.

Settings, Redis functions and keys, metrics, tables, files, functions of the client.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT
from workers import client
from workers.app import app
from workers.cli import reference
from workers.cli.main import COMMANDS
from workers.cli.settings import BESIDE, names
from workers.foundation import redis
from workers.http import reference as http

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "workers/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
#: The reference is made from the code.
PAGES = [page for page in PAGES if page.parent.name != "reference"]
#: Those of servers, of tools and of the demo, which are no classes of ours.
OTHERS = re.compile(
    r"^(?:FLOWER|GATEWAY|DEMO|API|GRAFANA|PROMETHEUS|XDG|PG|POSTGRES|NODE|HYPOTHESIS)_[A-Z0-9_]+$|^[A-Z0-9_]+_FILE$|^ROOM_FIELD$"
)
#: What is written in capitals with an underscore and is a word of somebody else's.
FOREIGN = {"METRICS_JWT_SECRET", "API_JWT_SECRET", "METRICS_PUSHER_URL", "REDISCLI_AUTH"}


def _quoted(page: Path) -> Iterator[str]:
    """Yield what a page has in backticks, and the lines of its code blocks."""
    text = page.read_text()
    for block in re.findall(r"```.*?\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@cache
def _source() -> str:
    kinds = ("*.py", "*.lua", "*.ts", "*.yml", "*.yaml", "*.json", "Procfile")
    folders = ("workers", "schedules", "demo", "deploy", "benchmarks")
    return "\n".join(
        path.read_text()
        for folder in folders
        for kind in kinds
        for path in (ROOT / folder).rglob(kind)
        if path.is_file()
    )


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_a_setting_that_a_page_names_is_one(page: Path) -> None:
    known = names()
    for text in _quoted(page):
        for name in re.findall(r"(?<![\w.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w…])", text):
            named = (
                name in known
                or name in set(BESIDE) | FOREIGN
                or OTHERS.match(name)
                or re.search(rf"\b{name}\b", _source())
            )
            assert named, f"{name} is no setting of ours"


@pages
def test_a_function_table_or_metric_that_a_page_names_is_one(page: Path) -> None:
    functions = set(re.findall(r"'(wedops_\w+)'", "\n".join(redis.libraries().values())))
    for text in _quoted(page):
        for name in re.findall(r"\bwedops_[a-z_]+\b", text):
            stem = re.sub(r"_(total|bucket|sum|count|seconds)$", "", name)
            assert name in functions or re.search(rf"\b{stem}\b", _source()), (
                f"{name} is no Redis function, metric or role"
            )


@pages
def test_a_redis_key_that_a_page_names_is_one(page: Path) -> None:
    for text in _quoted(page):
        for key in re.findall(r"\bwedops:(?:[a-z{}_:]|N\b)+", text):
            stem = key.rstrip(":").replace("{N}", "{{{number}}}")
            assert stem in _source(), f"{key} is no key of ours"


@pages
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    ours = r"(?:workers|schedules|docs|deploy|demo|benchmarks|tests)/[\w./-]+\w"
    for text in _quoted(page):
        for name in re.findall(rf"(?<![\w./-]){ours}", text):
            found = ROOT / name
            assert found.exists() or list(ROOT.glob(f"{name}*")) or "ROOM" in name, f"{name} is not there"


@pages
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{target} is not there"


@pages
def test_a_function_of_the_client_that_a_page_calls_is_one(page: Path) -> None:
    for text in _quoted(page):
        for name in re.findall(r"\bclient\.(\w+)\(", text):
            assert hasattr(client, name), f"workers.client has no {name}"


@cache
def _modules() -> set[str]:
    """Return our modules and what stands in them, as `room.name`."""
    found = {
        ".".join(path.relative_to(ROOT / "workers").with_suffix("").parts)
        for path in (ROOT / "workers").rglob("*.py")
    }
    return found | {".".join(name.split(".")[:2]) for name in found}


@pages
def test_a_task_that_a_page_names_is_one(page: Path) -> None:
    app.loader.import_default_modules()
    gone = {"actions", "degradation", "metrics", "requests"}
    rooms = {name.partition(".")[0] for name in app.tasks} - {"celery"} | gone
    for text in _quoted(page):
        for name in re.findall(r"^(\w+\.\w+)$", text):
            if name.partition(".")[0] in rooms and not name.endswith(
                (".py", ".md", ".lua", ".json", ".toml")
            ):
                assert name in app.tasks or name in _modules(), f"{name} is no task"


@pages
def test_what_a_page_calls_in_redis_is_a_function(page: Path) -> None:
    functions = set(re.findall(r"'(wedops_\w+)'", "\n".join(redis.libraries().values())))
    for line in page.read_text().splitlines():
        if called := re.search(r"\bFCALL ([a-z_]+(?: · [a-z_]+)*)", line):
            assert set(called[1].split(" · ")) <= functions, f"{called[1]}: no such function"


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_made_from_the_code(name: str) -> None:
    made = reference.PAGES[name]()
    assert (ROOT / "docs/reference" / name).read_text() == made, "run `python -m workers.cli.reference`"


def test_the_api_is_in_the_reference_as_it_is_served() -> None:
    assert (ROOT / http.PATH).read_text() == http.openapi(), "run `python -m workers.http.reference`"


def test_every_command_and_setting_is_in_the_reference() -> None:
    commands = (ROOT / "docs/reference/commands.md").read_text()
    assert all(f"`wedops {name}" in commands for name in COMMANDS)
    listed = (ROOT / "docs/reference/settings.md").read_text()
    assert all(f"`{name}`" in listed for name in {*names(), *BESIDE})


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
