"""Peers, after the same committed rows: Socket.IO, NATS JetStream, a Celery task that broadcasts."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import orjson

from benchmarks import form, system
from benchmarks.urgent import node, ours, scene
from benchmarks.urgent.scene import People, Scene
from workers.processes import servers


def _rows_written(number: int, prefix: str) -> float:
    """Write the same rows as ours; return when their commit began, by the clock of all."""
    ours.send(number, prefix)
    return ours.COMMITTED[f"{prefix}-{number}"]


def celery(stage: Scene, suppliers: People, count: int) -> Any:
    """A Celery task on a worker of its own that broadcasts; its end is when the last supplier has it."""
    from benchmarks import bare

    written: dict[str, float] = {}
    talk = scene.bulk(lambda: stage.broadcast(*scene.PHOTO))
    with form.worker("benchmarks.bare", "urgent_peer", 1), talk:

        def _send(number: int) -> None:
            identifier = f"celery-{number}"
            written[identifier] = _rows_written(number, "celery")
            bare.broadcast.apply_async(
                (stage.apis, scene.WEDDING, identifier, scene.SECRET), queue="urgent_peer"
            )

        scene.at_random_moments(count, _send)
        sleep(5)
    last: dict[str, list[float]] = {}
    for identifier, _, _, _, at in suppliers.end()["came"]:
        last.setdefault(identifier, []).append(at)
    return np.array([
        1000 * (max(last[one]) - at) if len(last.get(one, ())) >= scene.SUPPLIERS else float("nan")
        for one, at in written.items()
    ])  # fmt: skip


def socketio(count: int) -> Any:
    """Socket.IO's emitWithAck to a room of 40, with 1,000 others beside it."""
    port = str(servers.free_port())
    facts = [port, str(scene.SUPPLIERS), str(scene.GUESTS)]
    server = subprocess.Popen(
        [node.program(), "server.mjs", *facts], cwd=node.HOME, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, preexec_fn=servers.die_with_parent(),
    )  # fmt: skip
    clients = [
        subprocess.Popen(
            [node.program(), "clients.mjs", port, what, many], cwd=node.HOME, stdout=subprocess.DEVNULL,
            preexec_fn=servers.die_with_parent(),
        )
        for what, many in (("suppliers", facts[1]), ("guests", facts[2]))
    ]  # fmt: skip
    try:
        return _acked(server, count)
    finally:
        _end(server, *clients)


def _end(*processes: "subprocess.Popen[Any]") -> None:
    for process in processes:
        process.kill()
        process.wait()


def _acked(server: "subprocess.Popen[str]", count: int) -> Any:
    scene.heard(server)
    waits = []

    def _send(number: int) -> None:
        at = _rows_written(number, "socketio")
        scene.tell(server, str(number))
        done = float(scene.heard(server))
        waits.append(1000 * (done - at) if done else float("nan"))

    scene.at_random_moments(count, _send)
    return np.array(waits)


def jetstream(stage: Scene, count: int) -> Any:
    """NATS JetStream: 40 durable consumers that acknowledge. Empty where nats-server or its client is not."""
    program = shutil.which("nats-server", path=f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}")
    try:
        import nats  # noqa: F401
    except ImportError:
        return np.array([])
    if program is None:
        return np.array([])
    port = servers.free_port()
    store = stage.home / "nats"
    command = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(store)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=servers.die_with_parent()
    )
    own = [sys.executable, "-m", "benchmarks.urgent.nats_people", str(port)]
    people = _start_people(own)
    try:
        return asyncio.run(_published(port, people, count))
    finally:
        _end(server, *people)


def _start_people(command: Sequence[str]) -> "list[subprocess.Popen[str]]":
    return [
        subprocess.Popen(
            [*command, what, str(many)], cwd=system.ROOT, text=True, stdout=subprocess.PIPE,
            preexec_fn=servers.die_with_parent(),
        )
        for what, many in (("suppliers", scene.SUPPLIERS), ("guests", scene.GUESTS))
    ]  # fmt: skip


async def _published(port: int, people: "list[subprocess.Popen[str]]", count: int) -> Any:
    import nats

    for one in people:
        await asyncio.to_thread(scene.heard, one)
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream, waits = client.jetstream(), []

    async def _bulk() -> None:
        while True:
            await asyncio.sleep(scene.BULK_EVERY * random.uniform(0.5, 1.5))
            await client.publish("bulk", b"x" * 1_000)

    talking = asyncio.create_task(_bulk())
    for number in range(count):
        await asyncio.sleep(min(1.0, random.expovariate(1 / scene.EVERY)))
        at = await asyncio.to_thread(_rows_written, number, "jetstream")
        await stream.publish("urgent", orjson.dumps({"number": number}))
        line = await asyncio.to_thread(scene.heard, people[0])
        waits.append(1000 * (float(line) - at))
    talking.cancel()
    await client.close()
    return np.array(waits)
