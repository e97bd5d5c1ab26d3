"""People by NATS: suppliers with a durable consumer each, who acknowledge; guests who only listen.

python -m benchmarks.urgent.nats_people PORT suppliers|guests COUNT
"""

import asyncio
import sys
from collections import Counter
from typing import Any

import nats
import orjson

from workers.foundation import clock


async def main(port: str, what: str, count: str) -> None:
    """Stay; of suppliers print when the last acknowledgement of each message was taken."""
    address, acked = f"nats://127.0.0.1:{port}", Counter[int]()
    clients = []

    async def _acknowledge(message: Any) -> None:
        await message.ack_sync(timeout=30)
        number = orjson.loads(message.data)["number"]
        acked[number] += 1
        if acked[number] == int(count):
            print(clock.epoch(), flush=True)

    async def _hear(_message: Any) -> None:
        return None

    for number in range(int(count)):
        client = await nats.connect(address, max_reconnect_attempts=-1, allow_reconnect=True)
        clients.append(client)
        await client.subscribe("bulk", cb=_hear)
        if what == "suppliers":
            stream = client.jetstream()
            if number == 0:
                await stream.add_stream(name="urgent", subjects=["urgent"])
            await stream.subscribe("urgent", durable=f"s{number}", cb=_acknowledge, manual_ack=True)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
