"""How much may come in, and from whom. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import ClassVar

#: What our own processes measure, and what starts responses to outages: no other source may say it, unless
#: its token has `own`.
OWN = frozenset(
    {
        "probe_ok",
        "probe_seconds",
        "realtime_connections_of_expected",
        "realtime_error_share",
        "realtime_round_trip_seconds",
    }
)


@dataclass(frozen=True)
class Scope:
    """What a token may send: series by pattern, of which regions and weddings; also what is ours, if `own`.

    A sample of no region or wedding is not theirs where some are named.
    """

    series: tuple[str, ...] = ("*",)
    regions: tuple[str, ...] = ()
    weddings: tuple[str, ...] = ()
    own: bool = False

    def problem(self, name: str, labels: Mapping[str, str]) -> str:
        """Return why a sample may not be sent, with the remedy; empty when it may."""
        if not self.own and name in OWN:
            return f"{name} is measured by ourselves; METRICS_INGEST_SCOPES may give a token `own`"
        if not any(fnmatchcase(name, one) for one in self.series):
            return f"{name} is not among the token's series ({', '.join(self.series)})"
        for label, allowed in (("region", self.regions), ("wedding_id", self.weddings)):
            if allowed and not any(fnmatchcase(labels.get(label, ""), one) for one in allowed):
                return f"{name}: the token is for {label} {', '.join(allowed)} only"
        return ""


#: What our own processes may send.
OURS = Scope(own=True)


@dataclass(frozen=True)
class Policy:
    """How much may come in.

    `tokens` are `name:secret` with spaces between them: who may push, each with its own rate; `scopes` says
    by their names what each may send, by default everything but what is ours. A sample may be `late_max` old
    and `early_max` ahead; `buffer_max` bytes wait for the database at most, in the broker. `more_labels` are
    allowed beside the known ones. A token begins `series_max` series a day, a wedding `wedding_series_max`.
    """

    prefix: ClassVar = "METRICS_INGEST_"
    renamed: ClassVar = {
        "samples_max": "samples_most",
        "bytes_max": "bytes_most",
        "buffer_max": "buffer_most",
        "late_max": "late_most",
        "early_max": "early_most",
    }

    tokens: str = ""
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    series_max: int = 20_000
    wedding_series_max: int = 500
    more_labels: str = ""
    samples_max: int = 10_000
    bytes_max: int = 4_000_000
    samples_per_second: int = 50_000
    buffer_max: int = 128_000_000
    late_max: timedelta = timedelta(hours=1)
    early_max: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse what lets nothing in."""
        if not timedelta(0) <= self.late_max <= timedelta(days=2) or not timedelta(
            0
        ) <= self.early_max <= timedelta(days=1):
            raise ValueError("late_max must be 2d at most, early_max 1d")
        if min(self.samples_max, self.bytes_max, self.samples_per_second, self.buffer_max) < 1:
            raise ValueError("samples_max, bytes_max, samples_per_second and buffer_max must be 1 or more")
        if min(self.series_max, self.wedding_series_max) < 1:
            raise ValueError("series_max and wedding_series_max must be 1 or more")
        names = {token.partition(":")[0] for token in self.tokens.split()}
        if unknown := sorted(self.scopes.keys() - names):
            raise ValueError(
                f"scopes names {unknown[0]!r}, which is no token; tokens has {', '.join(sorted(names))}"
            )
        if any(
            not token.partition(":")[0] or len(token.partition(":")[2]) < 16 for token in self.tokens.split()
        ):
            raise ValueError(
                "tokens must be name:secret with spaces between them, each secret of 16 characters or more"
            )
