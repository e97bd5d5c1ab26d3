"""A person with the official client who asks where to go, and again when that node is gone.

python -m tests.acceptance.wanderer http://…/v1/route PERMIT REGION
"""

import asyncio
import sys

import httpx2 as httpx
from realtime import AsyncRealtimeClient


async def main(url: str, permit: str, region: str) -> None:
    """Stay connected until killed."""
    avoid = ""
    while True:
        answer = httpx.get(
            url, params={"region": region, "avoid": avoid}, headers={"Authorization": f"Bearer {permit}"}
        )
        if answer.status_code != 200:
            await asyncio.sleep(0.5)
            continue
        to = answer.json()
        await asyncio.sleep(to["wait_ms"] / 1000)
        client = AsyncRealtimeClient(to["url"], permit, params={"region": region}, auto_reconnect=False)
        try:
            await client.connect()
            while client.is_connected:
                await asyncio.sleep(0.1)
        except Exception:
            await asyncio.sleep(0.2)
        avoid = to["node"]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
