"""`wedops doctor`: what is wrong with a set-up, and how to mend it."""

import os
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec

import click
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError

from workers.access.usecases import grants
from workers.app import app
from workers.cli import certificates
from workers.cli.problems import one_line
from workers.cli.settings import BESIDE, DECLARED, former, names, platform
from workers.connections.formats import permits
from workers.foundation import (
    addresses,
    background,
    clock,
    database,
    health,
    jobs,
    logs,
    queues,
    redis,
    schema,
    settings,
)
from workers.foundation.errors import ExpectedError
from workers.notify import adapters as notify
from workers.notify import rules as notify_rules
from workers.scaling.adapters import actuators as scaling

#: Without which they do nothing.
NEEDED = {"pgbouncer": ("PGBOUNCER_ADMIN_URL",), "supabase": ("SUPABASE_API_URL", "SUPABASE_API_JWT_SECRET")}
#: In seconds: for how long somebody waits for all checks, which run at once.
PATIENCE = 2.0
#: A problem and its remedy; a check that finds none is fine.
Problems = Iterator[str]


def _broker() -> Problems:
    yield from _keeps("broker", "tasks", "see which queue nobody works on")
    server = redis.registry()
    if outdated := redis.outdated_functions():
        yield f"functions are missing or of another version: {', '.join(outdated)}; run `wedops migrate`"
    seconds, micros = server.time()
    if abs(seconds + micros / 1e6 - clock.epoch()) > 1:
        yield "this machine's clock and the broker's differ by more than a second; run NTP on both"


def _connections() -> Problems:
    redis.connections().ping()
    if "connections" in redis.keeping():
        yield from _keeps("connections", "connections", "add servers to its cluster")


def _keeps(role: str, what: str, or_else: str) -> Problems:
    for server in redis.keeping()[role]:
        config = server.config_get("maxmemory-policy", "appendonly")
        if (policy := config.get("maxmemory-policy")) != "noeviction":
            yield (
                f"the server of {role} evicts ({policy}): {what} would vanish; CONFIG SET maxmemory-policy "
                "noeviction"
            )
        if config.get("appendonly") != "yes":
            yield f"the server of {role} keeps nothing over a crash; CONFIG SET appendonly yes"
        if redis.memory_share(server) > 0.8:
            yield f"the memory of the server of {role} is more than 80 % full; raise maxmemory, or {or_else}"


def _cache() -> Problems:
    config = redis.cache_server().config_get("maxmemory*")
    if not config.get("maxmemory-policy", "").startswith("allkeys"):
        yield (
            "the cache does not evict by use: it will refuse writes when full; CONFIG SET maxmemory-policy "
            "allkeys-lfu"
        )
    if config.get("maxmemory") == "0":
        yield "the cache has no limit; CONFIG SET maxmemory 256mb"
    urls = settings.servers()
    if urls.cache_url == urls.broker_url:
        yield (
            "cache and broker are one server: it can't evict and keep tasks at once; set WEDOPS_CACHE_URL to "
            "another one"
        )


def _database() -> Problems:
    with database.transaction() as db:
        has, newest = schema.revisions(db)
        # Who can't write can't work.
        if has == newest:
            health.mark(db)
    to = addresses.postgres(settings.servers().database_url)
    host = to.get("host", "/")
    if (
        not host.startswith("/")
        and host not in ("127.0.0.1", "localhost", "::1")
        and to.get("sslmode") != "verify-full"
    ):
        yield (
            "note: anybody between here and the database could read it; add ?sslmode=verify-full to "
            "WEDOPS_DATABASE_URL"
        )
    schema.refuse_newer(has, newest)
    if has != newest:
        yield f"the database is at revision {has}, this version needs {newest}; run `wedops migrate`"


def _workers() -> Problems:
    answers = app.control.inspect(timeout=0.7).active_queues() or {}
    served = {queue["name"] for rows in answers.values() for queue in rows}
    for queue in queues.NAMES:
        if queue not in served:
            yield f"no worker takes from queue {queue}; start the one that does (see Procfile: -Q {queue})"
    if not jobs.beats(clock.epoch()):
        yield "no beat runs; start one (`celery -A schedules.beat beat`), or two: they share the work"


def unsound() -> list[str]:
    """Return what is wrong with the settings alone; no server is asked."""
    return [problem for problem in _settings() if not problem.startswith("note:")]


def _settings() -> Problems:
    clock.now()
    for declared in DECLARED:
        yield from _bad(partial(settings.read, declared))
    yield from _bad(lambda: [scaling.of(resource) for resource in scaling.managed()])
    yield from _lacking()
    yield from _bad(notify.check_targets)
    for variable, new in former().items():
        if variable in os.environ:
            yield f"note: {variable} is called {' and '.join(new)} now; the old name is still read"
    known, ours = names(), tuple(declared.prefix for declared in DECLARED)
    taken = {*known, *BESIDE, *former(), *platform(), *(f"{name}_FILE" for name in settings.from_files())}
    for variable in sorted(name for name in os.environ if name.startswith(ours) and name not in taken):
        near = get_close_matches(variable, known, 1)
        yield f"note: {variable} is no setting" + (f"; did you mean {near[0]}?" if near else "")
    if notify.policy().targets == notify_rules.Policy().targets:
        yield "note: alerts go to the log only; set NOTIFY_TARGETS to where people look"
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        yield "note: PROMETHEUS_MULTIPROC_DIR is not set here: the workers' counts are not summed"


def _lacking() -> Problems:
    if permits.VARIABLE not in os.environ:
        yield (
            f"note: {permits.VARIABLE} is not set here: nobody can issue or check permits; set it to "
            "name:secret"
        )
    try:
        named = {name for names in scaling.managed().values() for name in names}
    except settings.SettingInvalid:
        return
    for name in sorted(named & NEEDED.keys()):
        for variable in NEEDED[name]:
            if not os.environ.get(variable):
                yield f"{variable} is not set, and SCALING_ACTUATORS names {name}"
    if "kubernetes" in named and find_spec("kubernetes") is None:
        yield "SCALING_ACTUATORS names kubernetes: install the extra `kubernetes`"


def _bad(read: Callable[[], object]) -> Problems:
    try:
        read()
    except ExpectedError as error:
        yield str(error)


CHECKS: dict[str, Callable[[], Problems]] = {
    "broker": _broker,
    "connections": _connections,
    "cache": _cache,
    "database": _database,
    "workers": _workers,
    "access": grants.problems,
    "certificates": certificates.ending,
}


def _problems(check: Callable[[], Problems]) -> list[str]:
    try:
        return list(check())
    except Exception as error:
        if isinstance(error, (*redis.UNREACHABLE, OperationalError)) and not isinstance(
            error, AuthenticationError
        ):
            return [
                f"Redis does not answer ({error}); start it, or mend WEDOPS_BROKER_URL and WEDOPS_CACHE_URL"
            ]
        if line := one_line(error):
            return [line]
        raise


def _of(check: Callable[[], Problems]) -> Callable[[], list[str]]:
    return lambda: _problems(check)


@click.command("doctor")
def command() -> None:
    """Say what is wrong with a set-up, and how to mend it. Exit code 1 when something is."""
    logs.configure(40)
    wrong = 0
    # What hangs may only be a server: settings ask none.
    answers = dict(zip(CHECKS, background.within(PATIENCE, *map(_of, CHECKS.values())), strict=True))
    for name, found in (answers | {"settings": _problems(_settings)}).items():
        problems = [f"{found}; see what holds it up"] if isinstance(found, TimeoutError) else found
        if isinstance(problems, Exception):
            raise problems
        if not problems:
            click.echo(f"{name:<12} fine")
        for problem in problems:
            click.echo(f"{name:<12} {problem}")
        wrong += sum(not problem.startswith("note:") for problem in problems)
    sys.exit(1 if wrong else 0)
