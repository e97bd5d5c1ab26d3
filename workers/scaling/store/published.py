"""Our settings that SQL needs: the view `keda_desired` can read no environment."""

from sqlalchemy import Column, Connection, Table, Text
from sqlalchemy.dialects.postgresql import insert

from workers.foundation.database import metadata
from workers.scaling.rules.policy import Policy

settings = Table(
    "scaling_settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def publish(db: Connection, policy: Policy) -> None:
    """Write what the view goes by: shadow, live, or off for all regions; where it is so already, nothing."""
    default = policy.new_regions if policy.predictive else "off"
    statement = insert(settings).values(name="new_regions", value=default)
    changed = settings.c.value != statement.excluded.value
    new = {"value": statement.excluded.value}
    db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=new, where=changed))
