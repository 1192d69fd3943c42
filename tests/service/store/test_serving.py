"""Lists of predictions and explanations, and a store that is closed."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect

from service.erasure import erase_servings
from service.store import Store
from service.store.pages import PageQuery
from tests.rows import add_prediction, add_project


def test_pages_leave_large_columns_in_the_database(store: Store) -> None:
    project = add_project(store)
    add_prediction(store, project)
    with store.read() as work:
        ((row,), _) = work.predictions.page(project, PageQuery())
        assert inspect(row).unloaded >= {"inputs", "result"}
        assert row.state == "queued"


def test_a_picture_that_is_attached_while_its_row_is_deleted_goes_too(store: Store) -> None:
    row_id = add_prediction(store, add_project(store))

    def erase() -> None:
        with store.work() as work:
            erase_servings(work, "predictions", "model_id", ["mdl_none"])

    with store.work() as work:
        lease = work.predictions.leases.claim("tester", 30.0)
        assert lease is not None
    with ThreadPoolExecutor(1) as other:
        with store.work() as work:
            work.artifacts.attach({"a.png": store.artifacts.hold(b"drawn", "image/png")}, row_id)
            work.predictions.leases.finish(lease, "succeeded")
            erased = other.submit(erase)
            time.sleep(0.3)
            assert not erased.done()
        erased.result(timeout=10.0)
    with store.read() as work:
        assert work.artifacts.of(row_id) == []


@pytest.mark.parametrize("reads", [True, False])
def test_what_is_used_while_a_store_is_closed_is_closed_afterwards(sqlite_store: Store, reads: bool) -> None:
    with sqlite_store.read() if reads else sqlite_store.work() as work:
        connection = work.session.connection().connection.dbapi_connection
        assert connection is not None
        sqlite_store.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(Exception, match="closed database"):
        connection.execute("SELECT 1")
