"""Exports on both databases: one of each model and format, asked for by any number at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.erasure import erase_model
from service.errors import LeaseLost
from service.store import Lease, Store
from service.store.tables import ExportRow, ModelRow
from tests.rows import add_model, add_project


def ask(store: Store, model: ModelRow) -> tuple[str, bool]:
    with store.work() as work:
        row, is_work = work.exports.ask(model, "onnx")
        return row.id, is_work


def claim(store: Store) -> Lease:
    with store.work() as work:
        lease = work.exports.leases.claim("tester", 30.0)
        assert lease is not None
        return lease


@pytest.fixture
def model(store: Store) -> ModelRow:
    return add_model(store, add_project(store))


def test_it_is_made_once_however_many_ask(store: Store, model: ModelRow) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(store, model), range(16)))
    assert len({row_id for row_id, _ in answers}) == 1
    assert [is_work for _, is_work in answers].count(True) == 1


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_what_goes_on_or_went_well_is_no_new_work(store: Store, model: ModelRow, state: str) -> None:
    row_id, _ = ask(store, model)
    with store.work() as work:
        work.session.get_one(ExportRow, row_id).state = state
    assert ask(store, model) == (row_id, False)
    with store.read() as work:
        assert work.session.get_one(ExportRow, row_id).state == state


def test_what_failed_is_queued_anew_with_all_its_attempts(store: Store, model: ModelRow) -> None:
    row_id, _ = ask(store, model)
    lease = claim(store)
    with store.work() as work:
        assert work.exports.leases.charge(lease, 1, {"type": "/problems/worker-lost"})
    with store.read() as work:
        failed = work.session.get_one(ExportRow, row_id)
        assert (failed.state, failed.attempt) == ("failed", 1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(store, model), range(8)))
    assert sorted(answers) == [(row_id, False)] * 7 + [(row_id, True)]
    with store.read() as work:
        row = work.session.get_one(ExportRow, row_id)
        assert (row.state, row.attempt, row.problem, row.started_at, row.finished_at) == ("queued", 0, None, None, None)
        assert row.queued_at > failed.queued_at


def test_it_goes_with_its_model_and_so_does_the_lease(store: Store, model: ModelRow) -> None:
    row_id, _ = ask(store, model)
    lease = claim(store)
    with store.work() as work:
        erase_model(work, model.id)
    with store.read() as work:
        assert work.exports.get(row_id) is None
        assert work.models.get(model.id) is None
    with pytest.raises(LeaseLost), store.work() as work:
        work.exports.leases.finish(lease, "succeeded")


def test_a_model_that_is_gone_takes_its_exports_along_by_itself(store: Store, model: ModelRow) -> None:
    row_id, _ = ask(store, model)
    with store.work() as work:
        work.models.delete([model.id])
    with store.read() as work:
        assert work.exports.get(row_id) is None
