"""What waits for nothing, and what is gathered: by the kind of channel."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from demo import phoenix
from demo.channels import Channels
from demo.outbox import Outbox
from workers.connections.rules import levels
from workers.connections.rules.admission import UserType
from workers.weddings.rules.calendar import Phase


async def _nowhere(_text: str | bytes) -> bool:
    return True


def _guest() -> Any:
    names = {f"{kind}:w-1": f"realtime:{kind}:w-1" for kind in ("timeline", "photos")}
    own = {"version": "2.0.0", "record": None, "names": names}
    return SimpleNamespace(**own, outbox=Outbox(_nowhere), prompt=Outbox(_nowhere))


@pytest.mark.parametrize(("kind", "prompt"), [("timeline", 1), ("photos", 0)])
def test_a_timeline_never_waits_however_late_guests_are_put(kind: str, prompt: int) -> None:
    found = levels.service_levels(busy=True, emergency=True)
    level = found[levels.name(UserType.GUEST, "mobile", Phase.CEREMONY)]
    assert level["batch_ms"] == 1_000

    async def _published() -> Any:
        guest = _guest()
        channels = Channels({"g": guest}, lambda _record: dict(level), SimpleNamespace(), id)  # type: ignore[arg-type]
        channels.publish(f"realtime:{kind}:w-1", phoenix.Frame(f"realtime:{kind}:w-1", phoenix.BROADCAST, {}))
        return guest

    guest = asyncio.run(_published())
    assert (len(guest.prompt.waiting), len(guest.outbox.waiting)) == (prompt, 1 - prompt)
    assert (guest.prompt.gathers, guest.outbox.gathers) == (0.0, 0.0 if prompt else 1.0)


@pytest.mark.parametrize(
    ("shed", "event", "payload", "arrives"),
    [
        ("presence", "presence_diff", {}, False),
        ("typing", phoenix.BROADCAST, {"event": "typing"}, False),
        ("typing", phoenix.BROADCAST, {"event": "photo"}, True),
        ("broadcast", "presence_diff", {}, True),
    ],
)
def test_what_is_shed_is_not_relayed(shed: str, event: str, payload: dict[str, Any], arrives: bool) -> None:
    level = {**levels.service_levels(busy=False)["guest|fixed|setup"], "shed": [shed]}

    async def _published() -> Any:
        guest = _guest()
        channels = Channels({"g": guest}, lambda _record: level, SimpleNamespace(), id)  # type: ignore[arg-type]
        channels.publish("realtime:photos:w-1", phoenix.Frame("realtime:photos:w-1", event, payload))
        return guest

    assert len(asyncio.run(_published()).outbox.waiting) == arrives


@pytest.mark.parametrize(
    ("kind", "user_type", "arrives"),
    [("photos", "guest", False), ("timeline", "vendor", True), ("photos", "planner", True)],
)
def test_only_guests_broadcasts_are_shed_and_never_a_timeline(
    kind: str, user_type: str, arrives: bool
) -> None:
    level = {**levels.service_levels(busy=False)["guest|fixed|setup"], "shed": ["broadcast"]}

    async def _pushed() -> Any:
        guest, topic = _guest(), f"realtime:{kind}:w-1"
        sender = SimpleNamespace(
            topics={topic: (False, False)}, rtt=0.0, record=SimpleNamespace(user_type=user_type)
        )
        channels = Channels({"g": guest}, lambda _record: level, SimpleNamespace(), id)  # type: ignore[arg-type]
        await channels._push(sender, phoenix.Frame(topic, phoenix.BROADCAST, {"event": "photo"}))  # type: ignore[arg-type]
        return guest

    guest = asyncio.run(_pushed())
    assert len(guest.outbox.waiting) + len(guest.prompt.waiting) == arrives
