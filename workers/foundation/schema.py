"""The schema: Alembic brings a database to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from workers.foundation import database, health  # noqa: F401 - a table of its own
from workers.foundation.errors import ExpectedError

#: What the version before writes; triggers lead it into the successors. The next release drops it.
LEAVING = (
    "notifications",
    "requests.sent_at",
    "requests.attempts",
    "alert_notices",
    "addresses.who",
    "addresses_of_before",
    "alert_groups.told_at",
    "alert_silences.asked_by",
    "emergency_steps.who",
    "escalation_paths.asked_by",
    "performance_alerts.told_at",
    "performance_alerts.end_told_at",
    "performance_alerts.quiet",
    "performance_alerts.people",
    "scaling_actions.follows",
    "scaling_actions.asked_by",
    "uq_scaling_actions_region_resource_follows",
    "metric_points",
    "points_by_time",
    "metric_minutes",
    "scaling_full_days.most",
    "scaling_orders.asked_by",
    "season_changes.follows",
    "uq_season_changes_region_follows",
)
FOLDER = Path(__file__).parent / "migrations"


class DatabaseNewer(ExpectedError):
    """the database is at revision {has}, newer than this version's {newest}: docs/guides/deploying.md says
    how to go back"""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config


def upgrade() -> None:
    """Bring the database to the newest revision; two at once take turns."""
    with database.transaction() as db:
        migrate_to(db)


def migrate_to(db: Connection, revision: str = "head") -> None:
    """Bring a database to a revision."""
    config = _config()
    db.execute(text("SELECT pg_advisory_xact_lock(hashtext('wedops migrations'))"))
    refuse_newer(*revisions(db))
    # A season's rows take longer to move than any task may.
    db.execute(text("SET LOCAL statement_timeout = 0"))
    config.attributes["connection"] = db
    command.upgrade(config, revision)


def refuse_newer(has: str | None, newest: str | None) -> None:
    """Refuse a database that a later version made; raises DatabaseNewer."""
    known = {one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()}
    if has is not None and has not in known:
        raise DatabaseNewer(has=has, newest=newest)


def revisions(db: Connection) -> tuple[str | None, str | None]:
    """Return the database's revision and the newest one."""
    return MigrationContext.configure(db).get_current_revision(), ScriptDirectory.from_config(
        _config()
    ).get_current_head()
