"""Have workers make and drop days' partitions by functions of the owner's."""

from alembic import op

revision, down_revision = "0026", "0025"

_MAKE = """
CREATE FUNCTION wedops_make_partition(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  partition text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_class c
    WHERE c.relname = parent AND c.relkind = 'p' AND c.relnamespace = current_schema()::regnamespace
  ) THEN
    RAISE EXCEPTION 'no table by day: %', parent;
  END IF;
  -- Nobody fills the catalog with days that never come.
  IF day NOT BETWEEN '2000-01-01' AND '2099-12-31' THEN
    RAISE EXCEPTION 'no day of this century: %', day;
  END IF;
  -- Two may want the same day at the same moment: the second one waits and sees it.
  PERFORM pg_advisory_xact_lock(hashtext(parent));
  IF to_regclass(quote_ident(partition)) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format(
    'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES)', partition, parent);
  EXECUTE format(
    'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition,
    day::timestamptz, (day + 1)::timestamptz);
END $$
"""
_DROP = """
CREATE FUNCTION wedops_drop_partition(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
  partition text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
BEGIN
  -- Of a table by day alone, whoever calls it.
  IF EXISTS (
    SELECT FROM pg_catalog.pg_inherits
    WHERE inhrelid = to_regclass(quote_ident(partition)) AND inhparent = to_regclass(quote_ident(parent))
  ) THEN
    EXECUTE format('DROP TABLE %I', partition);
  END IF;
END $$
"""


def upgrade() -> None:
    """Make them; whoever runs migrations owns them and the tables."""
    [schema] = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalars()
    for function in (_MAKE, _DROP):
        op.execute(function.format(schema=schema))
    for verb in ("make", "drop"):
        op.execute(f"REVOKE ALL ON FUNCTION wedops_{verb}_partition(text, date) FROM PUBLIC")


def downgrade() -> None:
    """Drop them."""
    for verb in ("make", "drop"):
        op.execute(f"DROP FUNCTION wedops_{verb}_partition(text, date)")
