"""Alembic's entry: runs migrations on the connection that `Register.upgrade` passes in."""

from alembic import context

from pipelines.register.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
