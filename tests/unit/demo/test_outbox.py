"""What waits for a client of the demo's gateway: batches, shares of the bandwidth, and a bound."""

import asyncio
from contextlib import suppress

from demo.outbox import MAX, Outbox

CALM = {"batch_ms": 0}


async def _nowhere(_text: str) -> bool:
    return True


def _written(outbox: Outbox, seconds: float) -> None:
    async def _write() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(outbox.write(), seconds)

    asyncio.run(_write())


def test_a_client_is_sent_no_more_than_its_share_after_a_burst() -> None:
    sent = {}
    for name, rate in (("couple", 8_000.0), ("guest", 1_000.0)):
        outbox, now = Outbox(_nowhere, rate=rate), 0.0
        while now < 60:
            now += outbox.behind(now) + 0.001
            outbox.pay(100, now)
        sent[name] = outbox.sent
    assert abs(sent["guest"] - 61_000) <= 300
    assert abs(sent["couple"] - 488_000) <= 3_000


def test_messages_are_gathered_and_sent_in_their_order() -> None:
    sent: list[str] = []

    async def _take(text: str) -> bool:
        sent.append(text)
        return True

    outbox = Outbox(_take)
    for number in range(20):
        outbox.put(str(number), {"batch_ms": 300_000}, 1e6, since=0.0)
    _written(outbox, 0.1)
    assert sent == []
    outbox.gathers = 0.0
    _written(outbox, 0.5)
    assert sent == [str(number) for number in range(20)]


def test_who_does_not_read_has_a_bounded_number_waiting() -> None:
    async def _never(_text: str) -> bool:
        await asyncio.sleep(3600)
        return True

    outbox = Outbox(_never)
    outbox.put("first", CALM, 1e6, since=0.0)
    _written(outbox, 0.2)
    for _ in range(3_000):
        outbox.put("x" * 1_000, CALM, 1e6, since=0.0)
    outbox.put("y" * (MAX + 1), CALM, 1e6, since=0.0)
    assert outbox.waiting[-1][0][0] == "x", "what is too large by itself takes nobody else's place"
    outbox.dropped -= 1
    assert (outbox.size, len(outbox.waiting), outbox.dropped) == (MAX, MAX // 1_000, 3_000 - MAX // 1_000)


def test_what_becomes_of_messages_and_batches_is_observed() -> None:
    seen: list[tuple[str, bool]] = []

    async def _take(text: str) -> bool:
        return text != "lost"

    outbox = Outbox(_take, lambda what, seconds: seen.append((what, seconds is not None)))

    async def _two_batches() -> None:
        writing = asyncio.create_task(outbox.write())
        for texts in (("one", "two"), ("three", "lost")):
            for text in texts:
                outbox.put(text, CALM, 1e6, since=0.0)
            await asyncio.sleep(0.1)
        writing.cancel()

    asyncio.run(_two_batches())
    delivered, batch, failed = ("delivery", True), ("batches", False), ("failed_batches", False)
    assert seen == [delivered, delivered, batch, delivered, batch, failed]
