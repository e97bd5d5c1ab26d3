"""A supplier with the official Supabase client: shows urgent messages, and acknowledges them.

python -m tests.acceptance.supplier ws://… PERMIT TOPIC [acknowledge | only-look]
"""

import asyncio
import sys
from typing import Any

from realtime import AsyncRealtimeClient


async def main(url: str, permit: str, topic: str, what: str = "acknowledge") -> None:
    """Join the topic; say each urgent message and its revision once it is shown."""
    client = AsyncRealtimeClient(
        url, permit, params={"region": "us-northeast"}, auto_reconnect=True, max_retries=100
    )
    await client.connect()
    channel = client.channel(topic)
    came = asyncio.Queue[dict[str, Any]]()
    channel.on_broadcast("urgent", lambda told: came.put_nowait(told["payload"]))
    await channel.subscribe()
    print("joined", flush=True)
    while True:
        message = await came.get()
        print(f"shows {message['revision']} {message['headline']}", flush=True)
        for state in ("displayed", "acknowledged") if what == "acknowledge" else ():
            receipt = {"identifier": message["identifier"], "state": state}
            await channel.send_broadcast("urgent_receipt", receipt)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
