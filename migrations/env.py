"""Alembic's environment: the connection comes from the caller, or from the service's settings."""

from alembic import context

from service.settings import Settings
from service.store.engine import make_engine
from service.store.tables import ProjectRow


def run() -> None:
    connectable = context.config.attributes.get("engine") or make_engine(Settings().database_url)
    with connectable.connect() as connection:
        context.configure(
            connection=connection, target_metadata=ProjectRow.metadata, render_as_batch=True, compare_type=True
        )
        with context.begin_transaction():
            context.run_migrations()


run()
