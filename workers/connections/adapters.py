"""Who is online at a stock Supabase deployment, which keeps no registry.

Its own Presence, heard with the official client. Needs the extra `supabase`. What people track about
themselves stays there: we take the presence key, which is the user's id, and `user_type` where they track
one.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from workers.connections.rules.admission import UserType
from workers.foundation import logs
from workers.foundation.errors import ExpectedError

log = logs.get("connections")

#: All is published again this often, in seconds: what nobody publishes any more is gone after a minute.
EVERY = 20.0

#: Told a wedding's id and its people, user id -> user type, on each change.
Publish = Callable[[str, Mapping[str, str]], None]


class ListenerMissing(ExpectedError):
    """the official client is not installed; install the extra `supabase`"""


async def listen(url: str, key: str, wedding_ids: Sequence[str], publish: Publish) -> None:
    """Tell who is online of each wedding, on each change and every EVERY seconds, until cancelled."""
    try:
        # Imported when it is used: it is an extra, for deployments that need it.
        from realtime import AsyncRealtimeClient  # noqa: PLC0415
    except ImportError:
        raise ListenerMissing from None
    client = AsyncRealtimeClient(url, key)
    await client.connect()
    config: Any = {"config": {"presence": {"key": "", "enabled": True}}}
    channels = {id: client.channel(f"wedding:{id}", config) for id in wedding_ids}
    for id, channel in channels.items():
        channel.on_presence_sync(partial(_tell, id, channel, publish))
        await channel.subscribe()
    log.info("listening", weddings=len(channels), reason="requested")
    while True:
        for id, channel in channels.items():
            _tell(id, channel, publish)
        await asyncio.sleep(EVERY)


def _tell(id: str, channel: Any, publish: Publish) -> None:
    publish(id, users(channel.presence_state()))


def users(state: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Return who is there, user id -> user type; who tracks no type that we know counts as a guest."""
    types = {key: str(next(iter(metas), {}).get("user_type", "")) for key, metas in state.items()}
    return {key: kind if kind in set(UserType) else str(UserType.GUEST) for key, kind in types.items()}
