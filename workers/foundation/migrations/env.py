"""Run by Alembic, on the connection that workers.foundation.schema hands over."""

from alembic import context

from workers.foundation.database import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
