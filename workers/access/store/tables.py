"""Who may do what with each table of PostgreSQL.

A worker works with all of them. The API is shown the rows of whom it acts for, by row level security; a
reader all but what names people or says what was sent to them. A table that stands nowhere here is the
owner's alone, and a test says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.access.rules.roles import Role
from workers.foundation import claims

#: The groups in which logins are, by role: a login of a role is a member of its group.
GROUPS: Mapping[Role, str] = {
    Role.OWNER: "wedops_owner",
    Role.OPERATOR: "wedops_worker",
    Role.WORKER: "wedops_worker",
    Role.API: "wedops_api",
    Role.READER: "wedops_reader",
    Role.KEDA: "wedops_keda",
}
OWNER, WORKER, API, READER, KEDA = (
    GROUPS[role] for role in (Role.OWNER, Role.WORKER, Role.API, Role.READER, Role.KEDA)
)

SELECT, INSERT, UPDATE, DELETE, USAGE = "SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"
ALL = frozenset({SELECT, INSERT, UPDATE, DELETE})
#: What a worker may do beyond: it keeps the planner's statistics fresh.
MAINTAIN = "MAINTAIN"


def _claim(name: str) -> str:
    # What an earlier transaction set is '' now.
    return f"nullif(current_setting('{name}', true), '')"


def _ids(name: str) -> str:
    # In a subquery it is read once a statement, not once a row.
    return f"(SELECT string_to_array({_claim(name)}, ','))::text[]"


_EVERYTHING = f"(SELECT {_claim(claims.ALL_WEDDINGS)}) = 'on'"


def _by(column: str) -> str:
    return f"{column} = ANY ({_ids(claims.WEDDING)}) OR {_EVERYTHING}"


@dataclass(frozen=True)
class Access:
    """What the API may do with a table and which rows it is shown; whether readers may read it."""

    api: frozenset[str] = frozenset()
    rows: str = ""
    reader: bool = True
    worker: frozenset[str] = ALL | {MAINTAIN}


def _api(*privileges: str, rows: str = "", reader: bool = True) -> Access:
    return Access(frozenset(privileges), rows, reader)


_READ = Access()
_REACHABLE = [f"SELECT ({column})" for column in ("recipient", "wedding_id", "channel", "verified_at")]
#: Who appends gets the number of its row back.
_APPENDS = frozenset({INSERT, "SELECT (id)"})
_HIDDEN = Access(reader=False)
_OF_SUPPLIER = f"{_by('id')} OR supplier_ids && {_ids(claims.SUPPLIER)}"
_EMERGENCY_OF_IT = (
    f"EXISTS (SELECT FROM emergencies WHERE emergencies.id = emergency_id "
    f"AND ({_by('emergencies.wedding_id')}))"
)
_MESSAGE_OF_IT = (
    f"EXISTS (SELECT FROM messages WHERE messages.id = message_id AND ({_by('messages.wedding_id')}))"
)

TABLES: Mapping[str, Access] = {
    # The calendar and the day.
    "weddings": _api(SELECT, INSERT, UPDATE, rows=_OF_SUPPLIER),
    "wedding_versions": _api(SELECT, INSERT, rows=_OF_SUPPLIER),
    "wedding_holds": _api(SELECT, rows=_by("wedding_id")),
    "wedding_modes": _api(SELECT, rows=_by("wedding_id")),
    "wedding_days": _api(SELECT, INSERT, UPDATE, rows=_by("wedding_id")),
    "moment_reports": _api(SELECT, INSERT, UPDATE, rows=_by("wedding_id")),
    "moment_fits": _api(SELECT),
    "critical_path_metrics": _READ,
    "weather_outlooks": _api(SELECT),
    "optimization_results": _api(SELECT),
    "gate_overrides": _api(SELECT),
    # What was asked and what is sent; who is reached where.
    "requests": _api(SELECT, INSERT, UPDATE, rows=_by("(message ->> 'wedding_id')"), reader=False),
    "outbox": _api(SELECT, INSERT, UPDATE, rows=_by("wedding_id"), reader=False),
    "journal": Access(_APPENDS),
    "journal_cursors": _READ,
    "messages": _api(SELECT, INSERT, UPDATE, rows=_by("wedding_id"), reader=False),
    "message_recipients": _api(SELECT, INSERT, UPDATE, rows=_MESSAGE_OF_IT, reader=False),
    # Whether somebody can be reached, never where.
    "addresses": _api(*_REACHABLE, reader=False),
    "notification_log": _HIDDEN,
    # What goes wrong and what is done about it.
    "performance_alerts": _api(SELECT),
    "alert_changes": _api(SELECT),
    "alert_groups": _READ,
    "alert_silences": _READ,
    "escalation_paths": _HIDDEN,
    "degradation_responses": _api(SELECT),
    "emergencies": _api(SELECT, rows=_by("wedding_id")),
    "emergency_changes": _api(SELECT, rows=_EMERGENCY_OF_IT),
    "emergency_protocols": _READ,
    "emergency_steps": _api(SELECT, rows=_EMERGENCY_OF_IT),
    # How much of what.
    "scaling_actions": _api(SELECT),
    "scaling_full_days": _READ,
    "scaling_orders": _api(SELECT),
    "scaling_prediction_sets": _api(SELECT),
    "scaling_settings": _api(SELECT),
    "forecast_fits": _READ,
    "forecast_scores": _READ,
    "forecast_shares": _READ,
    "season_changes": _api(SELECT),
    "season_loads": _READ,
    "supplier_limits": _READ,
    "day_reviews": _READ,
    # What is measured.
    "connection_metrics": _api(SELECT, INSERT),
    "metric_blocks": _READ,
    "metric_days": _READ,
    "metric_hours": _READ,
    "metric_minute_pages": _READ,
    "metric_positions": _READ,
    "metric_rollups_due": _READ,
    "metric_rollups_open": _READ,
    "metric_series": _READ,
    # The version before wrote these; what is in them is still read.
    "metric_points": _HIDDEN,
    "metric_minutes": _HIDDEN,
    "slo_events": _READ,
    "slo_hours": _READ,
    "wedding_slo_events": _READ,
    "wedding_performance_metrics": _READ,
    # Who did what: nobody but the owner changes what was written down.
    "audit_log": Access(_APPENDS, reader=False, worker=frozenset({SELECT, INSERT})),
    # Who calls the API, and what was answered to whom.
    "api_keys": _api(SELECT, "UPDATE (used_at)", reader=False),
    "answers": _api(SELECT, INSERT, DELETE, reader=False),
    # The proof that writes are taken.
    "health": _api(SELECT, INSERT, UPDATE, DELETE),
}
#: What is granted that is no table: a view, a sequence.
OTHERS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "calendar_versions": {WORKER: frozenset({USAGE}), API: frozenset({USAGE})},
    # The next number, and no other: who could set it could stop all that is written down.
    "journal_id_seq": {WORKER: frozenset({USAGE}), API: frozenset({USAGE})},
    # Which revision the schema is at.
    "alembic_version": {WORKER: frozenset({SELECT}), API: frozenset({SELECT})},
    "keda_desired": {KEDA: frozenset({SELECT}), READER: frozenset({SELECT}), API: frozenset({SELECT})},
}


#: Which of them are sequences.
SEQUENCES = frozenset({"calendar_versions", "journal_id_seq"})


def privileges() -> dict[tuple[str, str], frozenset[str]]:
    """Return what each group may do, by (relation, group)."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for table, access in TABLES.items():
        found[table, WORKER] = access.worker
        found[table, API] = access.api
        found[table, READER] = frozenset({SELECT}) if access.reader else frozenset()
    for other, groups in OTHERS.items():
        found |= {(other, group): given for group, given in groups.items()}
    return {place: given for place, given in found.items() if given}


def policies() -> dict[str, dict[str, tuple[tuple[str, ...], str]]]:
    """Return the policies of each table that has any: name -> (groups, which rows).

    Row level security shows nobody but the owner a row that no policy shows.
    """
    everybody = ("wedops_all_rows", ((WORKER, READER), "true"))
    return {
        table: dict([everybody, ("wedops_claims", ((API,), access.rows))])
        for table, access in TABLES.items()
        if access.rows
    }
