"""Published models and their aliases in the store."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.store.engine import now_seconds
from service.store.pages import PageQuery, fetch_page
from service.store.tables import AliasRow, ModelRow


class Models:
    """Rows of published results; every client's read is within one project."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: ModelRow) -> None:
        """A new model."""
        self._session.add(row)
        self._session.flush()

    def find(self, project_id: str, reference: str) -> ModelRow | None:
        """A project's model by id or alias."""
        aliased = select(AliasRow.model_id).where(AliasRow.project_id == project_id, AliasRow.name == reference)
        model_id = self._session.execute(aliased).scalar_one_or_none() or reference
        query = select(ModelRow).where(ModelRow.id == model_id, ModelRow.project_id == project_id)
        return self._session.scalars(query).one_or_none()

    def stands(self, model_id: str) -> bool:
        """Whether a model is there, and stays until the unit of work ends."""
        query = select(ModelRow.id).where(ModelRow.id == model_id).with_for_update(read=True)
        return self._session.execute(query).one_or_none() is not None

    def hold(self, model_ids: Sequence[str]) -> None:
        """Locks models that are to be deleted, in one order, until the unit of work ends."""
        query = select(ModelRow.id).where(ModelRow.id.in_(model_ids)).order_by(ModelRow.id)
        self._session.execute(query.with_for_update())

    def get(self, model_id: str) -> ModelRow | None:
        """For workers."""
        return self._session.get(ModelRow, model_id)

    def of_job(self, job_id: str) -> ModelRow | None:
        """The model that a job published."""
        return self._session.scalars(select(ModelRow).where(ModelRow.job_id == job_id)).one_or_none()

    def ids_of_dataset(self, dataset_id: str) -> list[str]:
        """Every model that was trained on a dataset."""
        return list(self._session.scalars(select(ModelRow.id).where(ModelRow.dataset_id == dataset_id)))

    def page(self, project_id: str, page: PageQuery) -> tuple[list[ModelRow], str | None]:
        """A project's models, newest first."""
        return fetch_page(self._session, ModelRow, [ModelRow.project_id == project_id], page)

    def total_bytes(self, project_id: str) -> int:
        """What a project's models take."""
        query = select(func.coalesce(func.sum(ModelRow.size_bytes), 0)).where(ModelRow.project_id == project_id)
        return int(self._session.execute(query).scalar_one())

    def aliases_of(self, model_ids: Sequence[str]) -> dict[str, list[str]]:
        """By model, the names that point at it: one query for a page of models."""
        query = select(AliasRow.model_id, AliasRow.name).where(AliasRow.model_id.in_(model_ids)).order_by(AliasRow.name)
        found: dict[str, list[str]] = {}
        for model_id, name in self._session.execute(query):
            found.setdefault(model_id, []).append(name)
        return found

    def aliases(self, project_id: str) -> list[AliasRow]:
        """A project's aliases by name."""
        query = select(AliasRow).where(AliasRow.project_id == project_id).order_by(AliasRow.name)
        return list(self._session.scalars(query))

    def point(self, project_id: str, name: str, model_id: str) -> AliasRow:
        """Makes an alias name a model."""
        row = self._session.get(AliasRow, (project_id, name))
        if row is None:
            row = AliasRow(project_id=project_id, name=name, model_id=model_id)
            self._session.add(row)
        row.model_id = model_id
        row.updated_at = now_seconds()
        self._session.flush()
        self._session.refresh(row)
        return row

    def unpoint(self, project_id: str, name: str) -> bool:
        """Removes an alias; False when there is none."""
        row = self._session.get(AliasRow, (project_id, name))
        if row is not None:
            self._session.delete(row)
        return row is not None

    def delete(self, model_ids: Sequence[str]) -> None:
        """Removes models and their aliases; artifacts are the caller's to abandon."""
        self._session.execute(delete(ModelRow).where(ModelRow.id.in_(model_ids)))
