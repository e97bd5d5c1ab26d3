"""The tables of wedding days."""

from sqlalchemy import BigInteger, Column, DateTime, Float, Identity, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from workers.foundation.database import expires, metadata

#: What somebody said of a moment, or of themselves; each once a key.
reports = Table(
    "moment_reports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("wedding_id", Text, nullable=False),
    # Empty: somebody has arrived.
    Column("moment", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("by", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    info=expires("received_at"),
)
Index("reports_of_wedding", reports.c.wedding_id, reports.c.id)

#: A wedding's day as it is computed with: its plan, what was reported, whom was warned.
days = Table(
    "wedding_days",
    metadata,
    Column("wedding_id", Text, primary_key=True),
    # The version of the wedding that the plan is from.
    Column("version", BigInteger, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("over_at", DateTime(timezone=True), nullable=False, index=True),
    Column("venue", Text, nullable=False),
    Column("suppliers", Integer, nullable=False),
    # By what it was told that something has changed when a row of its metrics was written last, and when.
    Column("written_by", Text, nullable=False),
    Column("written_at", DateTime(timezone=True)),
    Column("plan", JSONB, nullable=False),
    # Moment -> epoch seconds.
    Column("started", JSONB, nullable=False),
    Column("ended", JSONB, nullable=False),
    # Supplier -> epoch seconds.
    Column("arrived", JSONB, nullable=False),
    # Moments that somebody was warned of.
    Column("warned", JSONB, nullable=False),
    Column("guests", Integer, nullable=False, server_default="0"),
    info=expires("over_at"),
)

#: How a day went on, whenever that changed.
metrics = Table(
    "critical_path_metrics",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("wedding_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("due", Integer, nullable=False),
    Column("reported", Integer, nullable=False),
    Column("in_time", Integer, nullable=False),
    Column("suppliers", Integer, nullable=False),
    Column("arrived", Integer, nullable=False),
    Column("bottleneck", Text, nullable=False),
    # Moment -> p50, p90 in epoch seconds, and how likely it is late.
    Column("moments", JSONB, nullable=False),
    # Guests that are invited, and their connections; none where the registry did not say.
    Column("guests", Integer, nullable=False, server_default="0"),
    Column("guest_connections", Integer),
    # Recipients of urgent messages, those that acknowledged, and in how many seconds half of these had.
    Column("asked", Integer, nullable=False, server_default="0"),
    Column("acknowledged", Integer, nullable=False, server_default="0"),
    Column("acknowledged_within", Float),
    info=expires("at"),
)
Index("critical_path_of_wedding", metrics.c.wedding_id, metrics.c.at.desc())

#: What was learned of past days; the newest holds.
fits = Table(
    "moment_fits",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("fitted_at", DateTime(timezone=True), nullable=False),
    Column("days", Integer, nullable=False),
    Column("missing", Float, nullable=False),
    Column("stretch", Float, nullable=False),
    Column("pace", Float, nullable=False),
    Column("groups", JSONB, nullable=False),
    Column("arrays", LargeBinary, nullable=False),
    info=expires("fitted_at"),
)

#: The mode of each wedding that is armed or was, since when, by whom: `calendar`, or who began it by hand.
modes = Table(
    "wedding_modes",
    metadata,
    Column("wedding_id", Text, primary_key=True),
    Column("mode", Text, nullable=False, index=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("by", Text, nullable=False),
    # User type -> [connected, those of them with a backup that answers]; none before it was looked at.
    Column("backups", JSONB),
    Column("checked_at", DateTime(timezone=True)),
    # Since when somebody has had no backup.
    Column("missing_since", DateTime(timezone=True)),
    info=expires("since"),
)

#: What the weather may do to weddings in the open air, as it was forecast last.
outlooks = Table(
    "weather_outlooks",
    metadata,
    Column("wedding_id", Text, primary_key=True),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("risk", Float, nullable=False),
    Column("because", ARRAY(Text), nullable=False),
    # Where that is.
    Column("geo", Text, nullable=False),
    info=expires("at"),
)
