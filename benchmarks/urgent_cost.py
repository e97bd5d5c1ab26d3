"""What it costs to send each of 10,000 weddings a message in a minute, and to take all receipts.

`lane_cores` is the urgent lane's share of a core, `postgres_cores` and `broker_cores` those of the servers,
`send_cores` that of who sends; `lane_grown_mb` how much the lane's memory grew. Every recipient acknowledges.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import sleep

import orjson

from benchmarks import form, system
from workers.delivery.keys import URGENT
from workers.delivery.store import lane
from workers.foundation import clock, database, logs, redis
from workers.foundation.moments import Moment
from workers.processes import servers
from workers.weddings.rules.calendar import Status, VenueType, Wedding
from workers.weddings.store import weddings

WEDDINGS, SUPPLIERS, SECONDS, SENDERS = 10_000, 14, 60.0, 2
#: Receipts of one call, as a gateway gathers them.
AT_ONCE = 480


def main() -> None:
    """Print the figures."""
    options = form.parser(1)
    options.add_argument("--weddings", type=int, default=WEDDINGS)
    options.add_argument("--send", type=int, default=-1, help="send every SENDERS'th from here on, and end")
    given = options.parse_args()
    logs.configure(40)
    if given.send >= 0:
        _send(given.send, given.weddings)
        return
    os.environ["DELIVERY_A_SECOND"] = "100000"
    with system.started("cost") as found:
        _book(given.weddings)
        form.main(
            "urgent_cost",
            {"ours": lambda: _measure(found, given.weddings)},
            lambda _found: {},
            runs=1,
            options=given,
        )


def _book(count: int) -> None:
    starts = clock.now() + timedelta(hours=2)
    local = starts.replace(tzinfo=None)
    when = local, local + timedelta(hours=6), "UTC", starts, Moment(starts + timedelta(hours=6))
    kinds = 100, VenueType.GARDEN, "us-northeast", Status.CONFIRMED
    own = (
        Wedding(f"w-{number}", *when, *kinds, tuple(f"s{number}-{one}" for one in range(SUPPLIERS)))
        for number in range(count)
    )
    with database.transaction() as db:
        weddings.upsert(db, list(own), at=clock.now())


def _send(first: int, count: int) -> None:
    """Send, at an even pace."""
    from workers.delivery.usecases import sending

    begun, numbers = clock.stopwatch(), range(first, count, SENDERS)
    for done, number in enumerate(numbers):
        sleep(max(0.0, begun + done * SECONDS / len(numbers) - clock.stopwatch()))
        fields = {
            "wedding_id": f"w-{number}",
            "headline": "the ceremony moves",
            "request_key": f"cost-{number}",
        }
        sending.send(fields, sender="bench", now=clock.now(), machine=clock.machine_now())


def _measure(found: system.System, count: int) -> form.Figures:
    command = [sys.executable, "-m", "benchmarks.urgent_cost", "--weddings", str(count), "--send"]
    code = "from workers.cli.main import main; main()"
    lane_ = _start([sys.executable, "-c", code, "deliver", "--urgent"])
    try:
        sleep(5)
        Thread(target=_acknowledge, daemon=True).start()
        watched = {
            "lane": [lane_.pid],
            "broker": [found.servers["broker"].process.pid],
            "postgres": [found.servers["postgres"].process.pid],
        }
        before, memory = {name: _cpu(pids) for name, pids in watched.items()}, _memory(lane_.pid)
        begun = clock.stopwatch()
        used = _sent(command)
        form.wait_for(lambda: _left(count) == 0, within=120)
        passed = clock.stopwatch() - begun
        cores = {f"{name}_cores": (_cpu(pids) - before[name]) / passed for name, pids in watched.items()}
        return {
            **cores,
            "send_cores": used / passed,
            "lane_grown_mb": _memory(lane_.pid) - memory,
            "seconds": passed,
            "messages": count,
            "recipients": count * (SUPPLIERS + 2),
        }
    finally:
        lane_.kill()
        lane_.wait()


def _sent(command: Sequence[str]) -> float:
    """Have everything be sent; return the processor seconds of who sent it."""
    senders = [_start([*command, str(one)]) for one in range(SENDERS)]
    used = 0.0
    while any(one.poll() is None for one in senders):
        used = sum(_cpu([one.pid]) for one in senders) or used
        sleep(0.2)
    return used


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, cwd=system.ROOT, stdout=subprocess.DEVNULL, preexec_fn=servers.die_with_parent()
    )


def _acknowledge() -> None:
    """Acknowledge everything for everybody, as gateways would say it."""
    with redis.connections().pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe(f"{URGENT}*")
        while True:
            said = list[tuple[str, str, str, str]]()
            message = channel.get_message(timeout=1.0)
            while message and len(said) < AT_ONCE:
                told = orjson.loads(message["data"])
                own = told["message"]["wedding_id"], told["message"]["identifier"]
                said += [(*own, who, "acknowledged") for who in told["to"]]
                message = channel.get_message(timeout=0)
            if said:
                lane.receipts(said)


def _left(count: int) -> int:
    with database.transaction() as db:
        query = "SELECT count(*) FROM message_recipients WHERE state = 'acknowledged'"
        return count * (SUPPLIERS + 2) - int(db.exec_driver_sql(query).scalar_one())


def _cpu(pids: Iterable[int]) -> float:
    """Return the processor seconds of processes and all that they began."""
    ticks, found = os.sysconf("SC_CLK_TCK"), 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        # Its own time, and that of children that ended; those that live have their own.
        found += sum(map(int, fields[11:15])) / ticks + _cpu(map(int, children))
    return found


def _memory(pid: int) -> float:
    """Return what a process holds, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1_000


if __name__ == "__main__":
    main()
