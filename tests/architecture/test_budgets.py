"""The house's budgets, counted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("workers", "schedules", "demo", "benchmarks")
ROOMS = sorted({path.relative_to(ROOT / "workers").parts[0] for path in ROOT.glob("workers/*/rules*")})
SHELF = {
    "__init__.py",
    "__main__.py",
    "rules.py",
    "store.py",
    "keys.py",
    "formats.py",
    "telemetry.py",
    "adapters.py",
    "usecases.py",
    "tasks.py",
    "routes.py",
    "functions.lua",
    # What grew past a file's budget, as a folder of the same name.
    "rules",
    "store",
    "formats",
    "adapters",
    "usecases",
    "functions",
}
REFUSED = {"utils", "helpers", "common", "core", "manager"}


def _sources() -> list[Path]:
    return [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "versions" not in path.parts
    ]


def _functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_keep_their_budgets(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    limit = 12 if path.name in {"tasks.py", "routes.py"} else 30
    too_long = {function.name: length for function, length in _functions(path) if length > limit}
    assert too_long == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_holds_what_the_shelf_names(room: str) -> None:
    held = {path.name for path in (ROOT / "workers" / room).iterdir() if path.name != "__pycache__"}
    assert held <= SHELF


@pytest.mark.parametrize("room", ROOMS)
def test_rules_and_stores_have_their_mirrored_test(room: str) -> None:
    assert (ROOT / "tests" / "unit" / room / "test_rules.py").exists()
    if any((ROOT / "workers" / room).glob("store*")):
        assert (ROOT / "tests" / "integration" / room / "test_store.py").exists()


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [path for path in _sources() if path.stem in REFUSED]


def test_only_the_clock_reads_the_clock() -> None:
    banned = ("time.time(", "datetime.now(", "utcnow(", "time.monotonic(", "perf_counter(")
    readers = {path.name for path in _sources() for word in banned if word in path.read_text()}
    assert readers == {"clock.py"}


def test_redis_keys_stand_in_keys_and_say_who_uses_them() -> None:
    named = re.compile(r"(?<!/)wedops:[\w{]")
    packages = ("workers", "schedules", "demo")
    sources = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sources}
    assert {path for path, text in texts.items() if named.search(text)} == {
        path for path in texts if path.endswith("/keys.py")
    }
    for path, text in texts.items():
        if path.endswith("/keys.py"):
            said = re.findall(r"^#: .+\n[A-Z_]+ = ", text, re.MULTILINE)
            assert len(said) == len(re.findall(r"^[A-Z_]+ = ", text, re.MULTILINE)), (
                f"{path}: not each key says what it holds"
            )


def test_channels_that_functions_publish_on_are_named_as_in_keys() -> None:
    """Lua can't import them."""
    published = re.findall(
        r"PUBLISH', '([^']+)'", "\n".join(path.read_text() for path in ROOT.glob("workers/**/*.lua"))
    )
    keys = "\n".join(path.read_text() for path in ROOT.glob("workers/*/keys.py"))
    assert published
    assert all(f'"{name}"' in keys for name in published)


def test_every_alert_has_its_page() -> None:
    from workers.alerts.rules.lifecycle import Kind

    for kind in Kind:
        page = (ROOT / "docs" / "runbooks" / f"{kind}.md").read_text()
        for heading in ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation"):
            assert heading in page


def test_every_task_is_named_for_its_room() -> None:
    from workers.app import app

    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        if not name.startswith("celery."):
            assert task.__module__ == f"workers.{name.partition('.')[0]}.tasks"


#: How a run begins, and reads the clock; and what asks of the outside, or sends, whenever its turn comes.
ENTRIES = {
    "tasks.py",
    "routes.py",
    "adapters",
    "adapters.py",
    "client.py",
    "cli",
    "http",
    "processes",
    "foundation",
    "app.py",
}
#: Each of their transactions is a run of its own.
LOOPS = {
    # A cache is asked at any moment, and hears of changes at any other.
    "workers/caching/store/changes.py",
    "workers/caching/store/layers.py",
    "workers/caching/usecases/sources.py",
    "workers/commands/usecases/commands.py",
    "workers/scaling/usecases/applying.py",
    "workers/selfwatch/usecases/watching.py",
    "workers/selfwatch/usecases/observing.py",
}


def test_a_run_reads_the_clock_where_it_begins() -> None:
    """What decides takes `now` as an argument: two readings in one run may lie on two sides of an edge."""
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "workers").rglob("*.py")
        if re.search(r"clock\.(now|machine_now|epoch)\(", path.read_text())
    }
    inside = {path for path in readers if not ENTRIES & set(Path(path).parts)}
    permits = {"workers/connections/formats/permits.py", "workers/connections/usecases/permits.py"}
    assert inside - LOOPS - permits == set()


def test_now_is_a_moment_of_one_of_two_times() -> None:
    """`now` is the world's or the machine's moment, by its type; what is seconds has another name."""
    for path in (path for path in _sources() if "benchmarks" not in path.parts):
        for function, _ in _functions(path):
            arguments = [*function.args.args, *function.args.kwonlyargs]
            kinds = {ast.unparse(one.annotation) for one in arguments if one.arg == "now" and one.annotation}
            assert kinds <= {"Moment", "MachineMoment"}, f"{path}: {function.name}"


def test_a_package_is_its_docstring() -> None:
    """Whoever imports a package gets nothing: each module says what it has."""
    for path in (ROOT / "workers").rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert len(tree.body) <= 1, path
        assert not tree.body or ast.get_docstring(tree), path


@pytest.mark.parametrize(
    "path",
    [str(path.relative_to(ROOT)) for path in (ROOT / "workers").glob("*/store*/*.py")]
    + [str(path.relative_to(ROOT)) for path in (ROOT / "workers").glob("*/store.py")],
)
def test_a_store_reads_its_own_tables_and_keys(path: str) -> None:
    """Whoever wants another room's facts asks its store in a use case.

    What happened is appended to the journal.
    """
    room = Path(path).parts[1]
    stores = re.findall(
        r"^from workers\.(\w+)(?:\.store\b.*? import| import .*\bstore\b)",
        (ROOT / path).read_text(),
        re.MULTILINE,
    )
    assert set(stores) <= {room, "journal"}


def test_no_redis_function_has_more_than_forty_lines() -> None:
    for path in ROOT.glob("workers/**/*.lua"):
        for name, body in re.findall(
            r"^local function (\w+)\((.*?)^end$", path.read_text(), re.MULTILINE | re.DOTALL
        ):
            assert len(body.splitlines()) + 1 <= 40, f"{path}: {name}"
