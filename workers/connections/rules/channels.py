"""What channels are called: of a wedding, of its suppliers of a type, of a person. Pure.

Who may join one is decided by wedops_open and wedops_subscribe (functions/2_records.lua).
"""

from workers.weddings.rules.calendar import Wedding, supplier_type

KIND, PERSON = "wedding", "person"


def wedding(wedding_id: str) -> str:
    """Return the channel of everybody of a wedding."""
    return f"{KIND}:{wedding_id}"


def of_type(wedding_id: str, supplier_type: str) -> str:
    """Return the channel of a wedding's suppliers of a type."""
    return f"{KIND}:{wedding_id}:{supplier_type}"


def of_supplier(wedding_: Wedding, supplier_id: str) -> list[str]:
    """Return the channels of a wedding that are there for a supplier."""
    kind = supplier_type(wedding_, supplier_id)
    return [wedding(wedding_.id), *([of_type(wedding_.id, kind)] if kind else [])]


def of_person(wedding_id: str, user_id: str) -> str:
    """Return the channel of one person at a wedding."""
    return f"{KIND}:{wedding_id}:{PERSON}:{user_id}"


def canonical(topic: str) -> str:
    """Return the channel that a topic stands for.

    Supabase's clients put a word before it; `person:WEDDING:USER` and `urgent:WEDDING` are what version 1
    calls a person's channel and a wedding's.
    """
    kind, *ids = topic.removeprefix("realtime:").split(":")
    if kind == PERSON and len(ids) == 2:
        return of_person(*ids)
    if kind == "urgent" and len(ids) == 1:
        return wedding(ids[0])
    return ":".join((kind, *ids))
