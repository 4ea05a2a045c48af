"""Alembic's entry point; `backend.store.schema` calls it with a connection at hand."""

from alembic import context

from backend.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    # The queue's engine keeps its own tables in the same database.
    include_name=lambda name, kind, parents: kind != "table" or name in Base.metadata.tables,
)
with context.begin_transaction():
    context.run_migrations()
