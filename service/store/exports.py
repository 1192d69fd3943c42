"""Exports in the store: at most one of a model and format."""

from collections.abc import Sequence

from sqlalchemy import delete, null, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.specs.base import new_id
from service.specs.exports import ExportFormat
from service.store.engine import now_seconds
from service.store.leases import LeasedRows
from service.store.tables import ExportRow, ModelRow


class Exports:
    """Rows of exports; clients come by a model of their project."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.leases = LeasedRows(session, ExportRow)

    def ask(self, model: ModelRow, format: ExportFormat) -> tuple[ExportRow, bool]:
        """The model's export in that format, and whether it is new work: none was asked for yet, or it failed."""
        insert = sqlite_insert if self._session.get_bind().dialect.name == "sqlite" else postgresql_insert
        values = {"id": new_id("xpt"), "project_id": model.project_id, "model_id": model.id, "format": format}
        made = self._session.execute(
            insert(ExportRow).values(**values, state="queued").on_conflict_do_nothing().returning(ExportRow.id)
        ).one_or_none()
        again = None if made is not None else self._ask_again(model.id, format)
        row = self.find(model.id, format)
        assert row is not None
        return row, made is not None or again is not None

    def find(self, model_id: str, format: str) -> ExportRow | None:
        """A model's export in that format."""
        query = select(ExportRow).where(ExportRow.model_id == model_id, ExportRow.format == format)
        return self._session.scalars(query.execution_options(populate_existing=True)).one_or_none()

    def get(self, export_id: str) -> ExportRow | None:
        """One by its id."""
        return self._session.scalars(select(ExportRow).where(ExportRow.id == export_id)).one_or_none()

    def of(self, model_id: str) -> list[ExportRow]:
        """All of a model, by format."""
        query = select(ExportRow).where(ExportRow.model_id == model_id).order_by(ExportRow.format)
        return list(self._session.scalars(query))

    def delete_of(self, model_ids: Sequence[str]) -> None:
        """Removes the exports of models; a worker that holds one finds its lease lost and stops."""
        self._session.execute(delete(ExportRow).where(ExportRow.model_id.in_(model_ids)))

    def _ask_again(self, model_id: str, format: str) -> str | None:
        """Queues what has failed, with all its attempts."""
        fresh = {"state": "queued", "problem": null(), "attempt": 0, "started_at": None, "finished_at": None}
        return self._session.execute(
            update(ExportRow)
            .where(ExportRow.model_id == model_id, ExportRow.format == format, ExportRow.state == "failed")
            .values(**fresh, queued_at=now_seconds())
            .returning(ExportRow.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
