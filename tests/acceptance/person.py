"""A person with the official Supabase client, in a process of its own.

python -m tests.acceptance.person ws://… REGION [listen | talk | slow | stay] [USER] [back]
"""

import asyncio
import sys
import time

from realtime import AsyncRealtimeClient

from workers.connections.formats import permits


async def main(url: str, region: str, what: str, user: str = "", back: str = "") -> None:
    """Join the wedding's channel.

    Then listen for broadcasts, send them, answer late, or stay: a named user is a guest.
    """
    permit = permits.issue(permits.Permit(user or f"u-{what}", "guest" if user else "couple", "w-1"))
    client = AsyncRealtimeClient(
        url, permit, params={"region": region}, auto_reconnect=bool(back), max_retries=30
    )
    await client.connect()
    channel = client.channel("wedding:w-1", {"config": {"presence": {"key": user, "enabled": bool(user)}}})
    heard = asyncio.Event()
    channel.on_broadcast("cake", lambda _payload: heard.set())
    await channel.subscribe()
    if user:
        await channel.track({"user_type": "vendor", "mood": "fine"})
    print("joined", flush=True)
    while what == "listen":
        await heard.wait()
        heard.clear()
        print("heard", flush=True)
    while what == "talk":
        await channel.send_broadcast("cake", {"at": "21:30"})
        await asyncio.sleep(0.2)
    while what == "stay":
        await asyncio.sleep(1)
    while what == "slow":
        # Blocks its whole process, as a phone on a bad network does: pings are answered late.
        time.sleep(2.9)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:6]))
    except Exception as error:
        print(error, flush=True)
