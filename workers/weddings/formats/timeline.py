"""Timelines as JSON: a list of moments, or in short an object of times by name.

    [{"id": "ceremony", "start": "15:00", "end": "15:30", "owner": "planner", "after": ["guests"]}]
    {"ceremony": "15:00", "dinner": "18:30"}

A time is local wall time: `15:00` is the one in the day that ends four hours after the wedding, others are
written as 2026-10-10T15:00. In the short form each moment comes after the one before it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from workers.foundation.errors import ExpectedError
from workers.weddings.rules import timeline as rules
from workers.weddings.rules.calendar import NAME, NAME_REMEDY, Wedding
from workers.weddings.rules.timeline import TimelineMoment

FIELDS = ("id", "start", "end", "kind", "owner", "after", "place", "critical")
_SHAPE = "must be a JSON object of times by name, or a list of moments"
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(:[0-5]\d)?", re.ASCII)
_PLACE_MAX = 80
#: As long as a supplier's id may be.
_OWNER_MAX = 128
#: As if all weddings were on one day, timelines are compared.
_FIRST_DAY = date(2000, 1, 1)
_WHEN = "write local wall time as 15:00 or 2026-10-10T15:00"

#: As the calendar keeps it; what the version before wrote is the short form, unchecked.
Document = Sequence[Mapping[str, Any]] | Mapping[str, Any]


class TimelineRefused(ExpectedError):
    """timeline {problem}"""

    http_status = 422


def parsed(text: str | bytes) -> Any:
    """Return what a text holds. Raises TimelineRefused for what is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TimelineRefused(problem=f"is no JSON: {error}") from None


def taken(document: Any, wedding: Wedding) -> list[TimelineMoment]:
    """Return the moments of a document, checked against their wedding. Raises TimelineRefused.

    What `wedops weddings timeline --json` prints is one as well.
    """
    if isinstance(document, dict) and isinstance(document.get("moments"), list):
        document = document["moments"]
    if not isinstance(document, dict | list):
        raise TimelineRefused(problem=_SHAPE)
    # Before they are read: that takes longer, the more there are.
    if wrong := rules.too_many(len(document)):
        raise TimelineRefused(problem=wrong)
    found = _moments(document, wedding)
    if wrong := rules.problem(found, wedding):
        raise TimelineRefused(problem=wrong)
    return found


def _moments(document: Any, wedding: Wedding) -> list[TimelineMoment]:
    if isinstance(document, dict):
        if all(isinstance(text, str | int | float) for text in document.values()):
            return _short(document, wedding)
    elif all(isinstance(one, dict) for one in document):
        return [_moment(number, one, wedding) for number, one in enumerate(document, start=1)]
    raise TimelineRefused(problem=_SHAPE)


def legible(document: Any) -> tuple[Any, list[str]]:
    """Return a document of the short form without what has no time that can be read, and the names of that.

    So much was never asked of the short form: a calendar is not refused for it.
    """
    if not isinstance(document, dict):
        return document, []
    left = [
        name for name, text in document.items() if not _is_time(text) and not isinstance(text, dict | list)
    ]
    return {name: text for name, text in document.items() if name not in left}, left


def known(wedding: Wedding) -> list[TimelineMoment]:
    """Return the moments of a wedding as the calendar has it.

    Of the short form, which was not checked in earlier versions, those whose time can be read.
    """
    if not isinstance(wedding.timeline, dict):
        return [_kept(one) for one in wedding.timeline]
    found = _short({name: text for name, text in wedding.timeline.items() if _is_time(text)}, wedding)
    return [] if rules.problem(found, wedding) else found


def document(moments: Sequence[TimelineMoment]) -> list[dict[str, Any]]:
    """Return moments as the calendar keeps them, without what is as it is when nothing is said."""
    return [_plain(one) for one in moments]


def _plain(one: TimelineMoment) -> dict[str, Any]:
    facts = {"id": one.id, "start": _written(one.start), "end": _written(one.end), "kind": one.kind}
    more = {"owner": one.owner, "after": list(one.after), "place": one.place}
    found = facts | {name: value for name, value in more.items() if value}
    return found if one.critical == (one.kind in rules.CRITICAL) else found | {"critical": one.critical}


def _written(local: datetime) -> str:
    return local.isoformat(timespec="minutes")


def _kept(facts: Mapping[str, Any]) -> TimelineMoment:
    times = {name: datetime.fromisoformat(facts[name]) for name in ("start", "end")}
    usual = {"critical": facts["kind"] in rules.CRITICAL}
    return TimelineMoment(**{**usual, **facts, **times, "after": tuple(facts.get("after", ()))})


def _short(document: Mapping[str, Any], wedding: Wedding) -> list[TimelineMoment]:
    times = sorted((_time(name, "time", text, wedding), name) for name, text in document.items())
    found: list[TimelineMoment] = []
    for start, name in times:
        own = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:100] or "moment"
        id = own if own not in {one.id for one in found} else f"{own}-{len(found) + 1}"
        after = (found[-1].id,) if found else ()
        kind = _kind_of(own)
        critical = kind in rules.CRITICAL
        found.append(TimelineMoment(id, start, start, kind, after=after, critical=critical))
    return found


def _moment(number: int, facts: Mapping[str, Any], wedding: Wedding) -> TimelineMoment:
    if not isinstance(id := facts.get("id"), str) or not NAME.fullmatch(id):
        raise TimelineRefused(problem=f"moment {number}: id={str(id)[:80]!r}: use {NAME_REMEDY}")
    if unknown := sorted(facts.keys() - set(FIELDS)):
        raise _refused(id, f"{unknown[0][:80]!r} is no field; there are {', '.join(FIELDS)}")
    start = _time(id, "start", facts.get("start"), wedding)
    end = _time(id, "end", facts.get("end", _written(start)), wedding)
    if "T" not in str(facts.get("end", "")) and end < start:
        # Past midnight.
        end += timedelta(days=1)
    kind = _text(id, facts, "kind", _kind_of(id))
    if not _KIND.fullmatch(kind):
        raise _refused(id, f"kind={kind[:40]!r}: use small letters, digits and underscores, 32 at most")
    return TimelineMoment(
        id,
        start,
        end,
        kind,
        _text(id, facts, "owner"),
        _after(id, facts.get("after", ())),
        _text(id, facts, "place"),
        _critical(id, facts.get("critical", kind in rules.CRITICAL)),
    )


def _kind_of(id: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", id.casefold()).strip("_0123456789")[:32].rstrip("_") or "moment"


def _text(id: str, facts: Mapping[str, Any], name: str, default: str = "") -> str:
    text, longest = facts.get(name, default), _OWNER_MAX if name == "owner" else _PLACE_MAX
    if not isinstance(text, str) or len(text) > longest or (text and not text.isprintable()):
        raise _refused(id, f"{name} must be a text of {longest} characters at most, in one line")
    return text.strip()


def _after(id: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        raise _refused(id, "after must be a list of the ids of other moments")
    return tuple(dict.fromkeys(names))


def _critical(id: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refused(id, "critical must be true or false")
    return value


def _is_time(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return bool(_TIME.fullmatch(text.strip())) or _whole(text.strip()) is not None
    except ValueError:
        return False


def _whole(text: str) -> datetime | None:
    """Return the local moment that a text has with its day; None for one without, or with an offset."""
    found = datetime.fromisoformat(text) if "T" in text else None
    return found if found and not found.tzinfo and 2000 <= found.year <= 2200 else None


def _time(id: str, name: str, text: Any, wedding: Wedding) -> datetime:
    text = text.strip() if isinstance(text, str) else ""
    if of_day := _TIME.fullmatch(text):
        return _on_the_day(int(of_day[1]), int(of_day[2]), wedding)
    try:
        found = _whole(text)
    except ValueError:
        found = None
    if found is None:
        raise _refused(id, f"{name}={text[:40]!r} is no time; {_WHEN}")
    return found.replace(second=0, microsecond=0)


def _on_the_day(hour: int, minute: int, wedding: Wedding) -> datetime:
    """Return the local moment of a wedding's day that has this time of the day."""
    first = min(wedding.ends_local - timedelta(hours=20), wedding.starts_local - timedelta(hours=4))
    found = first.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return found if found >= first else found + timedelta(days=1)


def _refused(id: str, problem: str) -> TimelineRefused:
    return TimelineRefused(problem=f"moment {id[:80]!r}: {problem}")


def digest(wedding: Wedding) -> str:
    """Return what a timeline is told by: its moments, their times of the day, and on which day they are."""
    text = orjson.dumps(_moved(wedding, _FIRST_DAY), option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()


def carried(before: Document, started_local: datetime, wedding: Wedding) -> list[dict[str, Any]] | None:
    """Return a timeline as it is for a wedding that was on another day before; None where it cannot be.

    Times of the day stay. Who does not work there any more owns nothing.
    """
    earlier = replace(wedding, timeline=before, starts_local=started_local)
    moved = [_kept(one) for one in _moved(earlier, wedding.starts_local.date())]
    there = rules.owners(wedding)
    own = [one if one.owner in there else replace(one, owner="") for one in moved]
    return None if rules.problem(own, wedding) else document(own)


def _moved(wedding: Wedding, to: date) -> list[dict[str, Any]]:
    return document(rules.moved(known(wedding), to - wedding.starts_local.date()))
