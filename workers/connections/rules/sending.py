"""What somebody in a channel may send there, by who they are. Pure.

Everybody hears what their channels bring; what is said there decides what people do.
"""

from workers.connections.rules.admission import PROFILES, UserType

#: Kinds of channels on which guests speak too; all other kinds are for who works on the day.
_SOCIAL = frozenset({"wedding", "photos", "person", "urgent"})
#: Kinds of channels on which guests say nothing.
WORK = frozenset(kind for kinds in PROFILES.values() for kind in kinds) - _SOCIAL
#: What events begin with that say how the day goes, and who says so, whatever the channel.
_PLANS, _ALARMS = ("timeline", "schedule"), ("emergency",)
_RUN_THE_DAY = frozenset({UserType.COUPLE, UserType.PLANNER})


def problem(user_type: str, channel: str, event: str) -> str:
    """Return why somebody may not broadcast an event on a channel; empty when they may.

    Guests broadcast no timeline and nothing on channels of the day's work; emergencies are said by couple and
    planner alone.
    """
    kind, word = channel.partition(":")[0], event.casefold()
    if user_type == UserType.GUEST and (kind in WORK or word.startswith(_PLANS)):
        return f"guests may not broadcast {event[:40]!r} on {kind!r}: it is for who works on the day"
    if user_type not in _RUN_THE_DAY and word.startswith(_ALARMS):
        return f"{event[:40]!r} is for couple and planner to say"
    return ""


def presence_problem(user_id: str, key: object) -> str:
    """Return why somebody may not be present under a key; empty for their own, or none."""
    return "" if key in (None, "", user_id) else "presence is tracked under your own user id, or under no key"
