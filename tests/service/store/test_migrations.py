"""Every migration, up and down, on both databases, with rows in place."""

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, select

from service.store import Store
from service.store.bases import Row
from service.store.migrate import alembic_config, upgrade
from service.store.tables import ExplanationRow, ModelRow, PredictionRow
from tests.contracts.world import make_project
from tests.rows import add_job, add_model, add_project

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


def test_what_is_of_a_dataset_is_found_after_an_upgrade(store: Store) -> None:
    """By the job where it still is, and by the inputs."""
    project = add_project(store)
    job_id, _ = add_job(store, project)
    with store.read() as work:
        dataset_id = work.jobs.get(job_id).dataset_id  # type: ignore[union-attr]
    models = {add_model(store, project, job_id).id: dataset_id, add_model(store, project).id: None}
    sample = {"name": "text 0", "sha256": None, "truncated": False, "dataset_id": "ds_any", "row": 0}
    sent = {"name": "a.png", "sha256": "0" * 64, "truncated": False}
    odd = {"name": 'a\0"dataset_id".png', "sha256": "0" * 64, "truncated": False}
    servings = {"ds_any": [sample, sample], None: [sent], "": [], "odd": [odd]}
    with store.work() as work:
        for noun, row_class in (("prd", PredictionRow), ("exp", ExplanationRow)):
            for place, inputs in servings.items():
                row = row_class(id=f"{noun}_{place}", project_id=project, model_id="mdl", state="queued", spec={},
                                inputs=inputs)  # fmt: skip
                work.session.add(row)
    config = alembic_config(store.engine)
    command.downgrade(config, "0008")
    upgrade(store.engine)
    with store.read() as work:
        assert {row.id: row.dataset_id for row in work.session.query(ModelRow)} == models
        for row_class in (PredictionRow, ExplanationRow):
            found = {row.id.partition("_")[2]: row.dataset_id for row in work.session.query(row_class)}
            assert found == {"ds_any": "ds_any", "None": None, "": None, "odd": None}


def test_the_tables_are_what_the_migrations_make(store: Store) -> None:
    command.check(alembic_config(store.engine))


def test_foreign_keys_are_enforced_again_afterwards(sqlite_store: Store) -> None:
    config = alembic_config(sqlite_store.engine)
    command.downgrade(config, "-1")
    upgrade(sqlite_store.engine)
    with sqlite_store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
