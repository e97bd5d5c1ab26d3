"""What services may measure, checked sample by sample. Pure.

A sample is a value of a series at a moment; a series is a name and labels. Labels are allowed by name, so
that nobody's name, number or address gets in by accident; what looks like one is refused as a value too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from workers.foundation.moments import MachineMoment
from workers.measurements.rules.limits import OURS, Policy, Scope
from workers.weddings.rules.calendar import EVERYWHERE, ID, ID_REMEDY, NAME, NAME_REMEDY

Row = np.dtype([("series", "<i8"), ("at", "<i8"), ("value", "<f8")])
"""One point: the series by its place in a batch (later by its id), microseconds since 1970, the value."""

LABELS = frozenset(
    {
        *(
            "cache",
            "channel",
            "code",
            "environment",
            "host",
            "instance",
            "job",
            "kind",
            "le",
            "method",
            "node",
            "operation",
        ),
        *(
            "outcome",
            "phase",
            "pool",
            "quantile",
            "queue",
            "region",
            "resource",
            "role",
            "route",
            "season",
            "service",
            "status",
        ),
        *(
            "supplier_type",
            "target",
            "task",
            "tenant",
            "type",
            "user_type",
            "venue_type",
            "version",
            "wedding_id",
            "worker",
        ),
    }
)
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.]{0,127}")
_VALUE = re.compile(r"[A-Za-z0-9_.:/+-]{0,128}")
#: A telephone number, or something with as many digits that is written like one.
_NUMBER = re.compile(r"(tel:)?\+?\d[\d.:/_-]{8,}")
#: Logins and keys are written like these.
_SECRET = re.compile(r"://|^eyJ|^sk_|-at-|^[A-Za-z0-9+/_-]{60,}$")
#: What these labels hold are words of the calendar: a UID may be digits only, or long, or have an at sign.
_WORDS = {"wedding_id": (ID, ID_REMEDY), "tenant": (ID, ID_REMEDY), "region": (NAME, NAME_REMEDY)}
#: What these labels hold is numbers by nature: bounds, versions, addresses of our own machines.
_NUMERIC = frozenset({"le", "quantile", "version", "host", "instance", "node", "code"})
#: A series' text is a key in PostgreSQL, which has a limit; a value beyond this overflows its means.
LONGEST, LARGEST = 1_000, 1e100


@dataclass(frozen=True)
class Sample:
    """A value of a series at a moment, in seconds since 1970."""

    name: str
    labels: tuple[tuple[str, str], ...]
    at: float
    value: float


@dataclass(frozen=True)
class Anomaly:
    """A series that does not behave as it used to.

    Its value at a moment, how surprising that is, and what it is. `kind` is `step` or `surprise`, `until`
    when it has ended if nothing more is found; moments in epoch seconds.
    """

    series: str
    kind: str
    value: float
    score: float
    at: float
    until: float


@dataclass
class Batch:
    """Samples that may be stored.

    The series' texts, and a row for each (its `series` is a place in `series`). `refused` counts the others
    by why, with the remedy.
    """

    series: list[str]
    rows: "np.ndarray[Any, Any]"
    refused: Counter[str] = field(default_factory=Counter)


def check(samples: Iterable[Sample], policy: Policy, scope: Scope = OURS, *, now: MachineMoment) -> Batch:
    """Return what of `samples` may be stored, and why the rest may not."""
    more = frozenset(policy.more_labels.split())
    earliest, latest = (now - policy.late_max).timestamp(), (now + policy.early_max).timestamp()
    places: dict[str, int] = {}
    refused, rows = Counter[str](), []
    for sample in samples:
        text, problem = _text(sample, more)
        problem = problem or scope.problem(sample.name, dict(sample.labels))
        if not problem and not (isfinite(sample.value) and abs(sample.value) <= LARGEST):
            problem = (
                f"{sample.name}: value must be a finite number, at most {LARGEST:g}; leave out what was not "
                "measured"
            )
        if not problem and not earliest <= sample.at <= latest:
            problem = (
                f"{sample.name}: at must be within {policy.late_max} before and {policy.early_max} after now"
            )
        if problem:
            refused[problem] += 1
        else:
            rows.append((places.setdefault(text, len(places)), int(sample.at * 1e6), sample.value))
    return Batch(list(places), np.array(rows, Row), refused)


def _text(sample: Sample, more: frozenset[str]) -> tuple[str, str]:
    # Before anything is remembered: what is refused must not fill the memory.
    if len(sample.name) + sum(len(label) + len(value) + 4 for label, value in sample.labels) > LONGEST:
        return "", f"a name and its labels must have {LONGEST} characters at most"
    return series(sample.name, sample.labels, more)


@lru_cache(maxsize=50_000)
def series(
    name: str, labels: tuple[tuple[str, str], ...], more: frozenset[str] = frozenset()
) -> tuple[str, str]:
    """Return a series' text, `name{label="value",…}` with its labels in order, and what is wrong with it."""
    if not _NAME.fullmatch(name):
        return "", f"name={name[:40]!r} must be letters, digits, _ : . and begin with a letter"
    for label, value in labels:
        if label not in LABELS and label not in more:
            return (
                "",
                f"{name}: label {label[:40]!r} is not allowed: leave it out, or have "
                "METRICS_INGEST_MORE_LABELS name it",
            )
        if problem := _value_problem(label, value):
            return "", f"{name}: the value of {label} must be {problem}"
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels) if value)
    return (f"{name}{{{inner}}}" if inner else name), ""


def _value_problem(label: str, value: str) -> str:
    if label == "region" and value == EVERYWHERE:
        return "one region's name: what is said of all has none"
    if label in _WORDS:
        allowed, remedy = _WORDS[label]
        return "" if not value or allowed.fullmatch(value) else remedy
    personal = _SECRET.search(value) or (label not in _NUMERIC and _NUMBER.fullmatch(value))
    if _VALUE.fullmatch(value) and not personal:
        return ""
    return "an id: 128 letters, digits, _ . : / + - and nobody's address or number"


def parts(text: str) -> tuple[str, dict[str, str]]:
    """Return name and labels of a series' text."""
    name, _, inner = text.partition("{")
    pairs = (pair.partition("=") for pair in inner.rstrip("}").split(",") if pair)
    return name, {label: value.strip('"') for label, _, value in pairs}


def moment(value: Any, *, now: MachineMoment) -> float:
    """Return seconds since 1970 of a number of seconds, or of a text in ISO 8601 with its zone.

    `now` for None. Raises ValueError with the remedy.
    """
    if value is None:
        return now.timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("at must be seconds since 1970, or as 2026-10-10T15:00:00Z")
    return found.timestamp()


def from_json(document: Any, policy: Policy, *, now: MachineMoment) -> tuple[list[Sample], Counter[str]]:
    """Return the samples of a batch, and those that are none by why.

    A batch is {"samples": [{"name", "value", "at"?, "labels"?}]}; raises ValueError for what is none. Samples
    of one series without `at` are set apart by `apart`: each is one.
    """
    given = document.get("samples") if isinstance(document, Mapping) else None
    if not isinstance(given, list):
        raise ValueError("samples must be a list of objects with name and value")
    if len(given) > policy.samples_max:
        raise ValueError(f"samples has {len(given)} entries; send {policy.samples_max} at once")
    found, refused = [], Counter[str]()
    for number, one in enumerate(given):
        try:
            found.append(_sample(number, one, now))
        except ValueError as error:
            refused[str(error)] += 1
    return found, refused


def apart(samples: Iterable[Sample], *, now: MachineMoment) -> list[Sample]:
    """Return samples with those of one series that all came without a time two microseconds apart.

    Each was measured. A float of today's epoch is told to a quarter of a microsecond, so one would not be
    enough.
    """
    stamp, seen, result = now.timestamp(), Counter[tuple[str, tuple[tuple[str, str], ...]]](), []
    for one in samples:
        if one.at == stamp:
            series_of = one.name, one.labels
            one = replace(one, at=stamp - seen[series_of] * 2e-6)  # noqa: PLW2901
            seen[series_of] += 1
        result.append(one)
    return result


def _sample(number: int, one: Any, now: MachineMoment) -> Sample:
    if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
        raise ValueError(f"samples.{number}.name must be a text")
    value, labels = one.get("value"), one.get("labels") or {}
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:  # noqa: PLR0124 - NaN is not itself
        raise ValueError(f"samples.{number}.value must be a number")
    if not isinstance(labels, Mapping) or not all(isinstance(text, str) for text in labels.values()):
        raise ValueError(f"samples.{number}.labels must be an object of texts")
    try:
        return Sample(one["name"], tuple(labels.items()), moment(one.get("at"), now=now), float(value))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"samples.{number}.{error}") from None
