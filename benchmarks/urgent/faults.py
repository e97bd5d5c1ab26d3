"""What kills do: gateways, the urgent lane, Valkey and PostgreSQL in turn, in the middle of messages."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from benchmarks import form
from benchmarks.urgent import ours, scene
from benchmarks.urgent.scene import Scene
from workers.foundation import clock
from workers.foundation.errors import ExpectedError

#: Seconds between two kills, and until all has a state when nothing is killed any more.
BETWEEN, SETTLES = 2.5, 90.0
_LOST = """
    SELECT count(*) FROM messages m JOIN message_recipients r ON r.message_id = m.id
    WHERE m.identifier LIKE :prefix AND r.delivered_at IS NULL
        AND r.state NOT IN ('superseded') AND m.closed_at IS NULL
"""


def killed(stage: Scene, kills: int) -> form.Figures:
    """Kill so many processes while messages and their updates are sent; return what was lost."""
    sent = Counter[str]()
    with scene.suppliers(stage) as suppliers:
        for number in range(kills):
            _send(sent, number)
            _KILLS[number % len(_KILLS)](stage)
            until = clock.stopwatch() + BETWEEN
            while clock.stopwatch() < until:
                _send(sent, number)
        with suppress(AssertionError, TimeoutError):
            form.wait_for(lambda: _lost() == 0, within=SETTLES)
        came = suppliers.end()["came"]
    return {
        "kills": kills,
        "sent_among_kills": sent["sent"],
        "refused_among_kills": sent["refused"],
        "lost": _lost(),
        "unnamed": ours.unnamed("kill"),
        "outdated_shown": _outdated(came),
    }


def _lost() -> int:
    try:
        [[count]] = ours.rows(_LOST, "kill")
    except (ExpectedError, SQLAlchemyError):
        return -1
    return int(str(count))


def _send(sent: Counter[str], number: int) -> None:
    """Send a message, and an update of it that takes its place."""
    from workers.delivery.usecases import sending

    key = f"kill-{number}-{sent['tried']}"
    fields: dict[str, Any] = {"wedding_id": scene.WEDDING, "headline": "moves", "audience": ours.AUDIENCE}
    sent["tried"] += 1
    for more in (
        {"request_key": key},
        {"request_key": f"{key}-u", "msg_type": "Update", "references": [key]},
    ):
        try:
            now, machine = clock.now(), clock.machine_now()
            sending.send(fields | more, sender="bench", now=now, machine=machine)
            sent["sent"] += 1
        except (ExpectedError, SQLAlchemyError):
            # Nobody was promised anything.
            sent["refused"] += 1
        sleep(random.uniform(0, 0.15))


def _outdated(came: list[tuple[str, int, int, str, float]]) -> int:
    """Return how often somebody was shown an older revision after a newer one."""
    newest: dict[tuple[int, str], int] = {}
    count = 0
    for _, person, revision, thread, _ in came:
        count += revision < newest.get((person, thread), -1)
        newest[person, thread] = max(revision, newest.get((person, thread), -1))
    return count


def _gateway(number: int) -> Callable[[Scene], None]:
    def _kill(stage: Scene) -> None:
        stage.gateways[number].kill()
        stage.gateways[number].wait()
        stage.start_gateway(number)

    return _kill


def _lane(stage: Scene) -> None:
    if stage.lane:
        stage.lane.kill()
        stage.lane.wait()
    stage.start_lane()


def _server(name: str) -> Callable[[Scene], None]:
    def _kill(stage: Scene) -> None:
        server = stage.system.servers[name]
        server.process.kill()
        server.process.wait()
        stage.system.servers[name] = server.again()

    return _kill


_KILLS = (_gateway(0), _lane, _server("broker"), _gateway(1), _lane, _server("postgres"))
