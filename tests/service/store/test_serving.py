"""Lists of predictions and explanations, and a store that is closed."""

import pytest
from sqlalchemy import inspect

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


@pytest.mark.parametrize("reads", [True, False])
def test_what_is_used_while_a_store_is_closed_is_closed_afterwards(sqlite_store: Store, reads: bool) -> None:
    with sqlite_store.read() if reads else sqlite_store.work() as work:
        connection = work.session.connection().connection.dbapi_connection
        assert connection is not None
        sqlite_store.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(Exception, match="closed database"):
        connection.execute("SELECT 1")
