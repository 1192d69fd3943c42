"""Predictions and explanations in the store: the same life, two tables."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import Session

from service.errors import LeaseLost
from service.store.leases import LeasedRows
from service.store.pages import PageQuery, fetch_page
from service.store.tables import ExplanationRow, PredictionRow

VALUES = "inputs.json"
"""The artifact with all rows or texts that came with a request, as a JSON array."""
RowT = TypeVar("RowT", PredictionRow, ExplanationRow)
Of = Literal["id", "model_id", "dataset_id"]
"""What many rows are chosen by: themselves, the models asked, the datasets of whose samples they are."""


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
        """For the worker that holds it; raises `LeaseLost` when it was deleted."""
        row: RowT | None = self._session.scalars(select(self._rows).where(self._rows.id == row_id)).one_or_none()
        if row is None:
            raise LeaseLost("The row was deleted.")
        return row

    def page(self, project_id: str, page: PageQuery) -> tuple[list[RowT], str | None]:
        """A project's, newest first, without inputs and results: each of them can have megabytes."""
        large = (self._rows.inputs, self._rows.result)
        return fetch_page(self._session, self._rows, [self._rows.project_id == project_id], page, without=large)

    def pending(self, project_id: str) -> int:
        """How many of a project's are not answered yet."""
        waiting = self._rows.state.in_(("queued", "running"))
        query = select(func.count()).where(self._rows.project_id == project_id, waiting)
        return self._session.execute(query).scalar_one()

    def ids_of(self, of: Of, ids: Sequence[str], *, prefix: str = "") -> Select[str]:
        """A query for the ids of many, each after the prefix."""
        return select((prefix + self._rows.id).label("id")).where(self._chosen(of, ids))

    def hold_live(self, of: Of, ids: Sequence[str]) -> None:
        """Locks those of many that are not answered yet: whoever answers one has attached its files, or never will."""
        live = select(self._rows.id).where(self._chosen(of, ids), self._rows.state.in_(("queued", "running")))
        self._session.execute(live.order_by(self._rows.id).with_for_update())

    def delete_of(self, of: Of, ids: Sequence[str]) -> None:
        """Removes many; a worker that holds one finds its lease lost and stops."""
        gone = delete(self._rows).where(self._chosen(of, ids))
        self._session.execute(gone.execution_options(synchronize_session=False))

    def _chosen(self, of: Of, ids: Sequence[str]) -> ColumnElement[bool]:
        column: ColumnElement[str] = getattr(self._rows, of)
        return column.in_(ids)
