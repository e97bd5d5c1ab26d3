"""What waits for a client of the demo's gateway: batches, shares of the bandwidth, and a bound."""

import asyncio

from demo.outbox import MOST, Outbox

CALM = {"batch_ms": 0}


async def _nowhere(_text: str) -> None:
    pass


def test_a_client_is_sent_no_more_than_its_share_after_a_burst() -> None:
    couple, guest = Outbox(_nowhere), Outbox(_nowhere)
    sent = {}
    for name, outbox, rate in (("couple", couple, 8_000.0), ("guest", guest, 1_000.0)):
        now = sent[name] = 0.0
        while now < 60:
            now += outbox.wait(CALM, now=now) + 0.001
            outbox.pay(100, rate, now=now)
            sent[name] += 100
    assert abs(sent["guest"] - 61_000) <= 300
    assert abs(sent["couple"] - 488_000) <= 3_000


def test_messages_are_gathered_as_long_as_the_level_says() -> None:
    assert Outbox(_nowhere).wait({"batch_ms": 250}, now=7.0) == 0.25
    sent: list[str] = []

    async def _gather() -> None:
        async def _take(text: str) -> None:
            sent.append(text)

        outbox = Outbox(_take)
        for number in range(MOST + 3):
            await outbox.put(str(number), {"batch_ms": 20}, 1e6)
        assert (sent, outbox.dropped) == ([], 3)
        await asyncio.sleep(0.2)

    asyncio.run(_gather())
    assert sent == [str(number) for number in range(3, MOST + 3)]
