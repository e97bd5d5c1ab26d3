"""Weddings as HTTP says them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workers.foundation import settings
from workers.foundation.errors import storable
from workers.foundation.moments import Moment
from workers.weddings.rules import calendar
from workers.weddings.rules.calendar import ID, ID_PATTERN, Phase, Status, VenueType, Wedding
from workers.weddings.usecases.changing import Outcome, Taken
from workers.weddings.usecases.importing import WOKEN

_LOCAL = Field(description="local wall time", examples=["2027-06-12T15:00"], max_length=40)


class Supplier(BaseModel):
    """A supplier of a wedding: what it is, and until which local time it is there."""

    id: str = Field(pattern=f"^{ID_PATTERN}$", examples=["s-12"])
    type: str | None = Field(default=None, pattern="^[a-z][a-z_-]{0,31}$", examples=["florist"])
    until: str | None = Field(default=None, pattern="^[0-9T:-]{1,40}$", examples=["2027-06-12T16:30"])

    def text(self) -> str:
        """Return it as a calendar's row says it."""
        return (f"{self.type}:" if self.type else "") + self.id + (f"|{self.until}" if self.until else "")


class WeddingBody(BaseModel):
    """A wedding as it is to be. What people agreed on is local wall time and the venue's zone."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=f"^{ID_PATTERN}$", examples=["w-17"])
    start: str = _LOCAL
    end: str = Field(description="local wall time", examples=["2027-06-12T23:00"], max_length=40)
    zone: str = Field(examples=["America/New_York"], max_length=64)
    guest_count: int = Field(ge=0, le=100_000, examples=[120])
    venue_type: VenueType
    region: str = Field(examples=["us-northeast"], max_length=128)
    status: Status = Status.CONFIRMED
    suppliers: list[Supplier] = Field(default=[], max_length=200)
    timeline: list[dict[str, Any]] | dict[str, Any] | None = Field(
        default=None,
        examples=[{"ceremony": "15:00"}],
        description="moments, or names with local times; without, what is known stays",
    )
    geo: str = Field(default="", max_length=60, examples=["40.7128;-74.0060"])

    @field_validator("timeline")
    @classmethod
    def _is_plain(cls, value: Any) -> Any:
        try:
            orjson.dumps(value)
        except TypeError as error:
            raise ValueError(f"must be plain JSON ({error})") from None
        return value

    @field_validator("suppliers")
    @classmethod
    def _are_different(cls, value: list[Supplier]) -> list[Supplier]:
        if len({one.id for one in value}) < len(value):
            raise ValueError("has a supplier twice; send each once")
        return value

    def row(self) -> dict[str, Any]:
        """Return it as a calendar's row; without a timeline, that which is known stays."""
        facts = self.model_dump(exclude={"suppliers", "timeline"}, mode="json")
        facts["guest_count"] = str(self.guest_count)
        facts["supplier_ids"] = ";".join(one.text() for one in self.suppliers)
        return facts | {"timeline": None if self.timeline is None else orjson.dumps(self.timeline).decode()}


def row_of(given: Any) -> tuple[dict[str, Any], str]:
    """Return a row of a bulk, and why it is none: one that is bad keeps no other out."""
    try:
        return WeddingBody.model_validate(given).row(), ""
    except ValidationError as error:
        id = given.get("id") if isinstance(given, Mapping) else None
        said = (f"{'.'.join(map(str, one['loc'])) or 'row'}: {one['msg']}" for one in error.errors())
        return {"id": id if isinstance(id, str) and ID.fullmatch(id) else ""}, storable("; ".join(said))


class WeddingView(BaseModel):
    """A wedding as it is, and the phase that it is in."""

    id: str
    start: str
    end: str
    zone: str
    starts_at: datetime
    ends_at: datetime
    guest_count: int
    venue_type: VenueType
    region: str
    status: Status
    suppliers: list[Supplier]
    timeline: Any
    geo: str
    phase: Phase
    version: int

    @classmethod
    def of(cls, wedding: Wedding, version: int, *, now: Moment) -> Self:
        """Return how a wedding is shown."""
        facts = {name: getattr(wedding, name) for name in cls.model_fields if hasattr(wedding, name)}
        return cls(
            **facts,
            start=wedding.starts_local.isoformat(timespec="minutes"),
            end=wedding.ends_local.isoformat(timespec="minutes"),
            suppliers=[Supplier(id=id, **wedding.duties.get(id, {})) for id in wedding.supplier_ids],
            phase=calendar.phase(wedding, settings.read(calendar.Policy), now=now),
            version=version,
        )


class TakenView(BaseModel):
    """What became of a row; `problem` says why it was refused, `notes` what had to be decided."""

    id: str
    outcome: Outcome
    version: int | None
    problem: str = ""
    notes: list[str] = []

    @classmethod
    def of(cls, one: Taken) -> Self:
        """Return how it is shown."""
        facts = {name: getattr(one, name) for name in cls.model_fields}
        return cls(**facts | {"notes": list(one.notes)})


class Floor(BaseModel):
    """Where capacity has another floor now: that of a region, for a while."""

    region: str
    begins: datetime
    ends: datetime


class Follows(BaseModel):
    """What follows from a write: the jobs that were woken, and which floors of capacity move."""

    woken: list[str]
    floors: list[Floor]

    @classmethod
    def of(cls, taken: Iterable[Taken]) -> Self:
        """Return what follows from changes: a span for each region."""
        policy, spans = settings.read(calendar.Policy), dict[str, Floor]()
        changed = (one.wedding for one in taken if one.outcome in (Outcome.ADDED, Outcome.CHANGED))
        for one in filter(None, changed):
            begins, ends = one.starts_at - policy.setup_before, one.ends_at + policy.wind_down_lasts
            known = spans.setdefault(one.region, Floor(region=one.region, begins=begins, ends=ends))
            known.begins, known.ends = min(known.begins, begins), max(known.ends, ends)
        return cls(
            woken=list(WOKEN) if spans else [], floors=sorted(spans.values(), key=lambda one: one.region)
        )


class BulkView(BaseModel):
    """What became of each row, in their order, and what follows."""

    results: list[TakenView]
    follows: Follows
