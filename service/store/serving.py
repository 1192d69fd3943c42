"""Predictions and explanations in the store: the same life, two tables."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from service.store.leases import LeasedRows
from service.store.pages import PageQuery, fetch_page
from service.store.tables import ExplanationRow, PredictionRow

VALUES = "inputs.json"
"""The artifact with all rows or texts that came with a request, as a JSON array."""
RowT = TypeVar("RowT", PredictionRow, ExplanationRow)


class Servings(Generic[RowT]):
    """Rows of one of the two; every client's read is within one project."""

    def __init__(self, session: Session, row_class: type[RowT]) -> None:
        self._session = session
        self._rows: type[RowT] = row_class
        self.leases = LeasedRows(session, row_class)

    def add(self, row: RowT) -> None:
        """New work."""
        self._session.add(row)
        self._session.flush()

    def find(self, project_id: str, row_id: str) -> RowT | None:
        """One of a project's."""
        query = select(self._rows).where(self._rows.id == row_id, self._rows.project_id == project_id)
        row: RowT | None = self._session.scalars(query).one_or_none()
        return row

    def get(self, row_id: str) -> RowT:
        """For the worker that holds it."""
        return self._session.scalars(select(self._rows).where(self._rows.id == row_id)).one()

    def page(self, project_id: str, page: PageQuery) -> tuple[list[RowT], str | None]:
        """A project's, newest first, without inputs and results: each of them can have megabytes."""
        large = (self._rows.inputs, self._rows.result)
        return fetch_page(self._session, self._rows, [self._rows.project_id == project_id], page, without=large)

    def pending(self, project_id: str) -> int:
        """How many of a project's are not answered yet."""
        waiting = self._rows.state.in_(("queued", "running"))
        query = select(func.count()).where(self._rows.project_id == project_id, waiting)
        return self._session.execute(query).scalar_one()

    def of_models(self, model_ids: Sequence[str], *, prefix: str = "") -> Select[str]:
        """A query for the ids of all that was asked of models, each after the prefix."""
        return select((prefix + self._rows.id).label("id")).where(self._rows.model_id.in_(model_ids))

    def delete_of(self, model_ids: Sequence[str]) -> None:
        """As `delete`, all that was asked of models."""
        gone = delete(self._rows).where(self._rows.model_id.in_(model_ids))
        self._session.execute(gone.execution_options(synchronize_session=False))

    def delete(self, row_id: str) -> None:
        """Removes the row; a worker that holds it finds its lease lost and stops."""
        self._session.execute(delete(self._rows).where(self._rows.id == row_id))
