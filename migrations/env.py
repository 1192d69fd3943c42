"""Alembic's environment: the connection comes from the caller, or from the service's settings.

On SQLite a batch change makes a table anew and drops the old one, and dropping deletes: with foreign keys enforced,
the rows of other tables that refer to it would go with it. They are checked afterwards instead. Our connections begin
explicitly, so a migration that fails leaves nothing half done there either.
"""

from alembic import context
from sqlalchemy import Connection

from service.settings import Settings
from service.store.engine import make_engine
from service.store.tables import ProjectRow


def run() -> None:
    connectable = context.config.attributes.get("engine") or make_engine(Settings().database_url)
    with connectable.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            enforce_foreign_keys(connection, False)
        try:
            context.configure(
                connection=connection,
                target_metadata=ProjectRow.metadata,
                render_as_batch=True,
                compare_type=True,
                transactional_ddl=True,
            )
            with context.begin_transaction():
                context.run_migrations()
                if is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise RuntimeError(f"rows refer to what is not there: {broken[:5]}")
        finally:
            if is_sqlite:
                enforce_foreign_keys(connection, True)


def enforce_foreign_keys(connection: Connection, on: bool) -> None:
    """Outside of any transaction; inside, SQLite passes over it."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


run()
