"""Supabase's Presence for the demo's gateway: who of a channel's people said that they are there."""

from collections import defaultdict
from typing import Any

from demo import phoenix


class Presence:
    """By topic and key, what each socket tracks.

    A change is told as `presence_diff`, all of it as `presence_state`.
    """

    def __init__(self) -> None:
        """Start with nobody."""
        self._metas: dict[str, dict[str, dict[str, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
        self._keys: dict[tuple[str, str], str] = {}

    def join(self, frame: phoenix.Frame, id: str) -> tuple[phoenix.Frame, phoenix.Frame | None]:
        """Remember under which key a socket will track.

        Return its topic's state, and that it left if it was there before.
        """
        left = self.leave(frame.topic, id)
        key = phoenix.presence_key(frame.payload)
        self._keys[frame.topic, id] = key if isinstance(key, str) and key else id
        state = {
            key: {"metas": list(metas.values())} for key, metas in self._metas.get(frame.topic, {}).items()
        }
        return phoenix.Frame(frame.topic, "presence_state", state), left

    def take(self, frame: phoenix.Frame, id: str) -> phoenix.Frame | None:
        """Track or untrack a socket; return what the topic's people are told."""
        key = self._keys.get((frame.topic, id))
        if key is None or frame.payload.get("event") != "track":
            return self.leave(frame.topic, id, forget=False)
        said = frame.payload.get("payload")
        meta = {**(said if isinstance(said, dict) else {}), "phx_ref": id}
        self._metas[frame.topic][key][id] = meta
        return phoenix.Frame(frame.topic, "presence_diff", {"joins": {key: {"metas": [meta]}}, "leaves": {}})

    def leave(self, topic: str, id: str, *, forget: bool = True) -> phoenix.Frame | None:
        """Take a socket out of a topic; return what its people are told, or nothing when it was not there."""
        key = self._keys.pop((topic, id), None) if forget else self._keys.get((topic, id))
        metas = self._metas.get(topic, {})
        meta = metas[key].pop(id, None) if key in metas else None
        if key in metas and not metas[key]:
            del metas[key]
        if not metas:
            self._metas.pop(topic, None)
        return (
            phoenix.Frame(topic, "presence_diff", {"joins": {}, "leaves": {key: {"metas": [meta]}}})
            if meta
            else None
        )
