"""What a deployment does every few seconds costs the same after a hundred thousand jobs as after one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError

from service.datasets import actions as datasets
from service.models import actions as models
from service.settings import Settings
from service.store import Store, UnitOfWork
from service.store.pages import PageQuery
from service.store.tables import ArtifactRow, EventRow, IdempotencyRow, JobRow, ModelRow, PredictionRow, TrialRow
from service.sweeper import Sweeper
from tests.nudges import Recorded
from tests.rows import add_dataset, add_job, add_project
from tests.statements import Sent, rows_visited, sent, whole_tables_read

FINISHED = 400
FEW = 30
"""Rows of one table that a statement may look at; a page of five has six."""
HISTORY = {"jobs", "trials", "events", "models", "artifacts", "predictions", "idempotency_keys"}
PAGE = PageQuery(limit=5)


def add_history(store: Store, project_id: str, dataset_id: str, finished: int = FINISHED) -> None:
    """Finished jobs with a trial, events, a model with two files, a prediction and a kept answer each."""
    numbers = range(finished)
    common = {"project_id": project_id, "labels": {}}
    rows: dict[Any, list[dict[str, Any]]] = {
        JobRow: [
            {**common, "id": f"job_{n}", "dataset_id": dataset_id, "dataset_digest": "0", "state": "succeeded",
             "spec": {}, "model_id": f"mdl_{n}", "created_at": float(n)} for n in numbers
        ],
        TrialRow: [{"id": f"trl_{n}", "job_id": f"job_{n}", "number": 0, "state": "succeeded"} for n in numbers],
        EventRow: [
            {"job_id": f"job_{n}", "seq": 1, "type": "state", "level": "info", "message": "succeeded"} for n in numbers
        ],
        ModelRow: [
            {**common, "id": f"mdl_{n}", "job_id": f"job_{n}", "dataset_id": dataset_id,
             "problem": "image_classification", "classes": [], "input": {}, "metrics": {}, "digest": "0",
             "size_bytes": 1, "created_at": float(n)} for n in numbers
        ],
        ArtifactRow: [
            {"id": f"art_{n}_{name}", "owner_id": f"mdl_{n}", "name": name, "media_type": "text/plain",
             "location": "sql:none", "created_at": 0.0} for n in numbers for name in ("a", "b")
        ],
        PredictionRow: [
            {"id": f"prd_{n}", "project_id": project_id, "state": "succeeded", "model_id": f"mdl_{n}", "spec": {},
             "dataset_id": dataset_id if n % 2 else None, "inputs": [], "created_at": float(n)} for n in numbers
        ],
        IdempotencyRow: [
            {"project_id": project_id, "route": "POST /v1/jobs", "key": str(n), "fingerprint": "0",
             "location": f"/v1/jobs/job_{n}", "status": 201, "body": b"{}"} for n in numbers
        ],
    }  # fmt: skip
    with store.work() as work:
        for table, some in rows.items():
            work.session.execute(insert(table), some)
    if store.engine.dialect.name == "postgresql":
        with store.engine.begin() as connection:
            connection.execute(text("ANALYZE"))


def sweep(store: Store) -> None:
    Sweeper(store, Recorded(), Settings(data_dir=Path("/nowhere"))).sweep(now=0.0)


def claim(store: Store) -> None:
    with store.work() as work:
        assert work.trials.claim("tester", 30.0) is not None
        assert work.predictions.leases.claim("tester", 30.0) is None


def look(store: Store, project_id: str) -> None:
    """Pages, quotas, queues and their figures."""
    with store.read() as work:
        for noun in (work.jobs, work.predictions, work.explanations):
            noun.page(project_id, PAGE)
            noun.page(project_id, PageQuery(limit=5, state="failed"))
        models.page(work, project_id, PAGE)
        work.jobs.queued(project_id)
        work.predictions.pending(project_id)
        work.trials.devices_wanted(4)
        work.trials.leases.tally()


def delete_another(store: Store, project_id: str) -> None:
    """A dataset that nothing was learned from."""
    dataset_id = add_dataset(store, project_id, "ready")
    with store.work() as work:
        datasets.delete(work, project_id, dataset_id, cascade=True)


def ask_once(store: Store, project_id: str) -> None:
    with store.work() as work:
        assert work.idempotency.reserve(project_id, "POST /v1/jobs", "new", "0") is None


@pytest.fixture
def project_id(store: Store) -> str:
    project_id = add_project(store)
    add_job(store, project_id)
    add_history(store, project_id, add_dataset(store, project_id, "ready"))
    return project_id


def test_a_history_is_not_read_again_and_again(store: Store, project_id: str) -> None:
    routine: list[Callable[[], None]] = [
        lambda: sweep(store),
        lambda: look(store, project_id),
        lambda: ask_once(store, project_id),
        lambda: claim(store),
        lambda: delete_another(store, project_id),
    ]
    with sent(store) as noted:
        for step in routine:
            step()
    assert len(noted) > 30
    assert_few_rows(store, noted)


def assert_few_rows(store: Store, noted: Sent) -> None:
    if store.engine.dialect.name == "sqlite":
        read = {statement: HISTORY & set(tables) for statement, tables in whole_tables_read(store, noted).items()}
        assert [statement for statement, tables in read.items() if tables] == []
        return
    visited = rows_visited(store, noted)
    assert any("jobs" in tables for tables in visited.values())
    many = [(one, name, rows) for one, tables in visited.items() for name, rows in tables.items() if name in HISTORY]
    assert [one for one in many if one[2] > FEW] == []


def test_a_sweep_sends_as_many_statements_after_many_jobs(store: Store) -> None:
    project_id = add_project(store)
    add_job(store, project_id)
    with sent(store) as before:
        sweep(store)
    add_history(store, project_id, add_dataset(store, project_id, "ready"))
    with sent(store) as after:
        sweep(store)
    assert 0 < len(after) == len(before)


@pytest.mark.parametrize("page", [models.page, lambda work, project_id, query: work.jobs.page(project_id, query)])
def test_a_page_takes_as_many_queries_whatever_it_shows(
    store: Store, project_id: str, page: Callable[[UnitOfWork, str, PageQuery], Any]
) -> None:
    counts = []
    for limit in (1, 50):
        with sent(store) as noted, store.read() as work:
            page(work, project_id, PageQuery(limit=limit))
        counts.append(len(noted))
    assert counts[0] == counts[1] > 0


def test_a_dataset_goes_with_all_its_jobs_in_a_few_statements(store: Store) -> None:
    project_id = add_project(store)
    counts = []
    for finished in (1, FINISHED):
        dataset_id = add_dataset(store, project_id, "ready")
        add_history(store, project_id, dataset_id, finished)
        with sent(store) as noted, store.work() as work:
            datasets.delete(work, project_id, dataset_id, cascade=True)
        counts.append(len(noted))
        with store.read() as work:
            assert work.datasets.jobs_of(dataset_id) == []
            assert work.jobs.page(project_id, PAGE)[0] == work.models.page(project_id, PAGE)[0] == []
            assert len(work.artifacts.unowned(0.0)) == 2 * finished
            answers = work.session.query(IdempotencyRow.status, IdempotencyRow.body).all()
            assert set(answers) == {(None, None)}
        with store.work() as work:
            work.session.query(IdempotencyRow).delete()
            work.session.query(ArtifactRow).delete()
    assert counts[0] == counts[1] > 0


def test_many_submit_jobs_on_a_dataset_at_once_and_none_while_it_is_deleted(postgres: Any) -> None:
    store = Store(postgres.lend())
    project_id = add_project(store)
    dataset_id = add_dataset(store, project_id, "ready")
    with store.work() as first, store.work() as second:
        assert first.datasets.hold(project_id, dataset_id) is not None
        second.session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        assert second.datasets.hold(project_id, dataset_id) is not None
        with pytest.raises(OperationalError, match="lock timeout"), second.session.begin_nested():
            second.datasets.find(project_id, dataset_id, lock=True)
    store.close()
    postgres.take_back(store.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""))
