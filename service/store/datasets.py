"""Datasets in the store."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.store.leases import LeasedRows
from service.store.pages import PageQuery, fetch_page
from service.store.tables import ArtifactRow, DatasetRow, JobRow

ARCHIVE = "archive"
MANIFEST = "manifest.json"
SAMPLES = "samples.parquet"
"""Of tables and texts: their contents, typed, as validation has read them."""
LIVE_JOB_STATES = ("queued", "running", "pausing", "paused", "cancelling")


class Trained(NamedTuple):
    """What became of a dataset: a job."""

    job_id: str
    state: str


class Datasets:
    """Rows of uploaded data; every read is within one project."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.leases = LeasedRows(session, DatasetRow, waiting="validating", held="validating", lost="rejected")

    def add(self, row: DatasetRow) -> None:
        """A new dataset."""
        self._session.add(row)
        self._session.flush()

    def find(self, project_id: str, dataset_id: str, *, lock: bool = False) -> DatasetRow | None:
        """One of a project's datasets; locked, it is the caller's alone until the unit of work ends."""
        query = select(DatasetRow).where(DatasetRow.id == dataset_id, DatasetRow.project_id == project_id)
        return self._session.scalars(query.with_for_update() if lock else query).one_or_none()

    def hold(self, project_id: str, dataset_id: str) -> DatasetRow | None:
        """One of a project's datasets, which stays until the unit of work ends; any number may hold it at once."""
        query = select(DatasetRow).where(DatasetRow.id == dataset_id, DatasetRow.project_id == project_id)
        return self._session.scalars(query.with_for_update(read=True)).one_or_none()

    def get(self, dataset_id: str) -> DatasetRow:
        """For workers, which hold a lease on it or on a job that uses it."""
        return self._session.scalars(select(DatasetRow).where(DatasetRow.id == dataset_id)).one()

    def page(self, project_id: str, page: PageQuery) -> tuple[list[DatasetRow], str | None]:
        """A project's datasets, newest first."""
        return fetch_page(self._session, DatasetRow, [DatasetRow.project_id == project_id], page)

    def total_bytes(self, project_id: str) -> int:
        """What a project's uploads take."""
        query = select(func.coalesce(func.sum(DatasetRow.size_bytes), 0)).where(DatasetRow.project_id == project_id)
        return int(self._session.execute(query).scalar_one())

    def digests(self, among: Iterable[str]) -> set[str]:
        """Those of the given digests that a dataset of any project has: of its upload, or of its samples."""
        asked = set(among)
        uploads = select(DatasetRow.digest).where(DatasetRow.digest.in_(asked))
        samples = (
            select(ArtifactRow.sha256)
            .join(DatasetRow, DatasetRow.id == ArtifactRow.owner_id)
            .where(ArtifactRow.name == SAMPLES, ArtifactRow.sha256.in_(asked))
        )
        return {*self._session.scalars(uploads), *self._session.scalars(samples)}

    def jobs_of(self, dataset_id: str) -> list[Trained]:
        """Every job that trains on it, or did."""
        query = select(JobRow.id, JobRow.state).where(JobRow.dataset_id == dataset_id)
        return [Trained(*row) for row in self._session.execute(query)]

    def delete(self, dataset_id: str) -> None:
        """Removes the row; its artifacts are the caller's to abandon."""
        self._session.execute(delete(DatasetRow).where(DatasetRow.id == dataset_id))
