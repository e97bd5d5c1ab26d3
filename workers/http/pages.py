"""Pages of a list: an opaque cursor says where the next one begins."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, Field

from workers.foundation.errors import ExpectedError

Item = TypeVar("Item")
Row = TypeVar("Row")
Limit = Annotated[int, Query(ge=1, le=500, description="so many at most")]
Cursor = Annotated[str, Query(max_length=600, description="`next` of the page before; empty for the first")]


class CursorInvalid(ExpectedError):
    """cursor: is none of ours; send `next` of a page as it is, or none for the first"""

    http_status = 422


class Page(BaseModel, Generic[Item]):
    """Some of a list."""

    items: list[Item]
    next: str | None = Field(description="the cursor of the next page; null on the last one")


def after(cursor: str, *kinds: type[Any]) -> tuple[Any, ...] | None:
    """Return the place that a cursor names: a value of each kind. Raises CursorInvalid."""
    if not cursor:
        return None
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid from error
    if not isinstance(found, list) or [type(one) for one in found] != list(kinds):
        raise CursorInvalid
    return tuple(found)


def page(
    rows: Sequence[Row], limit: int, item: Callable[[Row], Item], place: Callable[[Row], Sequence[Any]]
) -> Page[Item]:
    """Return a page of `limit` items, of rows that are one more where there is another page."""
    more = place(rows[limit - 1]) if len(rows) > limit else None
    return Page[Any](items=[item(one) for one in rows[:limit]], next=_cursor(more) if more else None)


def _cursor(place: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode()
