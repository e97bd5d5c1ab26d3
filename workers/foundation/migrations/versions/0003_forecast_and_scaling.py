"""Scaling's life cycle and orders, KEDA's view, forecasts' scores and shares, calendar versions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make them."""
    _scaling()
    _keda()
    _forecasting()
    _calendar()


def _scaling() -> None:
    for column in (
        sa.Column("purpose", sa.Text(), server_default="act", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text()),
        sa.Column("settled_by", sa.Text()),
        sa.Column("until", _MOMENT),
    ):
        op.add_column("scaling_actions", column)
    op.create_index("newest_action", "scaling_actions", ["region", "resource", sa.text("id DESC")])
    op.create_table(
        "scaling_orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("until", _MOMENT),
        sa.Column("ended_at", _MOMENT),
        sa.Column("ended_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scaling_orders")),
    )
    op.create_index(op.f("ix_scaling_orders_region"), "scaling_orders", ["region"])
    # Who acted until now acts on; only new regions watch first.
    op.execute(
        "INSERT INTO scaling_orders (region, kind, reason, asked_by, at) "
        "SELECT DISTINCT region, 'live', 'acted before regions could only watch', 'migration', now() FROM "
        "scaling_actions"
    )
    op.create_table(
        "scaling_full_days",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("limit_name", sa.Text(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("region", "day", "limit_name", name=op.f("pk_scaling_full_days")),
    )


def _keda() -> None:
    op.execute(
        "CREATE VIEW keda_desired AS SELECT region, resource, to_value AS desired, created_at AS since FROM ("
        "SELECT DISTINCT ON (region, resource) * FROM scaling_actions WHERE purpose IN ('act', 'shadow') "
        "ORDER BY region, resource, id DESC) AS newest WHERE purpose = 'act' AND NOT EXISTS ("
        "SELECT 1 FROM scaling_orders WHERE scaling_orders.region = newest.region AND kind = 'shadow' "
        "AND ended_at IS NULL AND (until IS NULL OR until > now()))"
    )
    # Roles belong to the whole server: another database of it may have made this one, and a managed one may
    # forbid it.
    op.execute(
        "DO $$ BEGIN CREATE ROLE wedops_keda NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; "
        "WHEN insufficient_privilege THEN RAISE NOTICE 'create the role wedops_keda and GRANT SELECT ON "
        "keda_desired'; END $$"
    )
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wedops_keda') "
        "THEN GRANT SELECT ON keda_desired TO wedops_keda; END IF; END $$"
    )


def _forecasting() -> None:
    op.add_column(
        "scaling_prediction_sets",
        sa.Column("p10", postgresql.ARRAY(sa.Float()), server_default="{}", nullable=False),
    )
    op.create_table(
        "forecast_scores",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("horizon_minutes", sa.Integer(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("pinball", postgresql.JSONB(), nullable=False),
        sa.Column("coverage", postgresql.JSONB(), nullable=False),
        sa.Column("bias", sa.Float(), nullable=False),
        sa.Column("wider", sa.Float(), nullable=False),
        sa.Column("trust", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("region", "day", "horizon_minutes", name=op.f("pk_forecast_scores")),
    )
    op.create_table(
        "forecast_shares",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("guests", postgresql.ARRAY(sa.Float(), dimensions=2), nullable=False),
        sa.Column("vendors", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("spread", sa.Float(), nullable=False),
        sa.Column("common", sa.Float(), nullable=False),
        sa.Column("base", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("z", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("learned_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("region", name=op.f("pk_forecast_shares")),
    )
    op.create_table(
        "season_loads",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("load", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("region", "day", name=op.f("pk_season_loads")),
    )


def _calendar() -> None:
    op.create_table(
        "wedding_versions",
        sa.Column("starts_local", sa.DateTime(), nullable=False),
        sa.Column("ends_local", sa.DateTime(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("guest_count", sa.Integer(), nullable=False),
        sa.Column("venue_type", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("supplier_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("known_from", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_wedding_versions")),
    )
    op.create_index(op.f("ix_wedding_versions_starts_at"), "wedding_versions", ["starts_at"])
    op.create_index(op.f("ix_wedding_versions_ends_at"), "wedding_versions", ["ends_at"])
    # When what is there became known was not written down: as if it had long been.
    op.execute(
        "INSERT INTO wedding_versions SELECT starts_local, ends_local, zone, starts_at, ends_at, "
        "guest_count, venue_type, "
        "region, status, supplier_ids, id, version, LEAST(updated_at, starts_at) - interval '1000 days' FROM "
        "weddings"
    )
