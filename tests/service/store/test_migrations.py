"""Every migration, up and down, on both databases, with rows in place."""

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, select

from service.store import Store
from service.store.bases import Row
from service.store.migrate import alembic_config, upgrade
from tests.contracts.world import make_project

Keys = dict[str, set[tuple[object, ...]]]


def rows_by_key(store: Store) -> Keys:
    """The primary keys of every row of every table that there is."""
    there = MetaData()
    there.reflect(store.engine)
    with store.engine.connect() as connection:
        return {
            name: {tuple(row) for row in connection.execute(select(*table.primary_key.columns))}
            for name, table in there.tables.items()
            if name != "alembic_version"
        }


def fill(store: Store) -> Keys:
    """Two projects with one of everything, an epoch and a worker."""
    for name in ("ours", "theirs"):
        ids = make_project(store, name).ids
        with store.work() as work:
            trial = work.trials.of(ids["job_id"])[0]
            trial.state = "queued"
            work.jobs.get(ids["job_id"]).state = "queued"  # type: ignore[union-attr]
            work.session.flush()
            lease = work.trials.claim("tester", 30.0)
            assert lease is not None
            work.trials.record_epoch(lease, {"epoch": 1, "seconds": 1.0})
            work.workers.seen(f"host:{name}", ["train"], {})
            work.idempotency.reserve(work.keys.project(name).id, "POST /v1/jobs", "key", "0" * 64)
    return rows_by_key(store)


def test_every_migration_keeps_the_rows_down_and_up_again(store: Store) -> None:
    before = fill(store)
    assert all(before.values()), "a table without rows proves nothing"
    config = alembic_config(store.engine)
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    for revision in revisions[:-1]:
        command.downgrade(config, str(revision.down_revision))
        below = rows_by_key(store)
        assert below == {name: before[name] for name in below}, revision
        upgrade(store.engine, revision.revision)
        above = rows_by_key(store)
        assert {name: above[name] for name in below} == below, revision
        command.downgrade(config, str(revision.down_revision))
    command.downgrade(config, "base")
    assert set(inspect(store.engine).get_table_names()) <= {"alembic_version"}
    upgrade(store.engine)
    assert set(inspect(store.engine).get_table_names()) == {*Row.metadata.tables, "alembic_version"}


def test_the_tables_are_what_the_migrations_make(store: Store) -> None:
    command.check(alembic_config(store.engine))


def test_foreign_keys_are_enforced_again_afterwards(sqlite_store: Store) -> None:
    config = alembic_config(sqlite_store.engine)
    command.downgrade(config, "-1")
    upgrade(sqlite_store.engine)
    with sqlite_store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
