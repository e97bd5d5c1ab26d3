"""The view for KEDA follows the mode of a region as decisions do, new regions among them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table of published settings; make the view anew."""
    op.create_table(
        "scaling_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.execute(
        """
        CREATE OR REPLACE VIEW keda_desired AS
        SELECT newest.region, newest.resource, newest.to_value AS desired, newest.created_at AS since
        FROM (
            SELECT DISTINCT ON (region, resource) * FROM scaling_actions
            WHERE purpose IN ('act', 'shadow') ORDER BY region, resource, id DESC
        ) AS newest
        LEFT JOIN (
            SELECT region, bool_or(kind = 'shadow') AS shadow, bool_or(kind = 'live') AS live FROM
            scaling_orders WHERE ended_at IS NULL AND (until IS NULL OR until > now()) GROUP BY region
        ) AS ordered ON ordered.region = newest.region
        LEFT JOIN scaling_settings AS setting ON setting.name = 'new_regions'
        WHERE newest.purpose = 'act' AND coalesce(setting.value, 'shadow') <> 'off' AND CASE
            WHEN ordered.shadow THEN false
            WHEN ordered.live THEN true
            ELSE coalesce(setting.value, 'shadow') = 'live'
        END
        """
    )
