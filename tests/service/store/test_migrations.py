"""Every migration, up and down, on both databases, with rows in place."""

from alembic import command
from sqlalchemy import inspect

from service.store import Store
from service.store.bases import Row
from service.store.migrate import alembic_config, upgrade
from tests.rows import add_job, add_project


def test_down_and_up_again(store: Store) -> None:
    add_job(store, add_project(store))
    config = alembic_config(store.engine)
    command.downgrade(config, "base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    upgrade(store.engine)
    assert set(inspect(store.engine).get_table_names()) == {*Row.metadata.tables, "alembic_version"}


def test_the_tables_are_what_the_migrations_make(store: Store) -> None:
    command.check(alembic_config(store.engine))
