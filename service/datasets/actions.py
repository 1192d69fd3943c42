"""Rules for datasets."""

from pydantic import TypeAdapter

from service.datasets.schemas import DatasetList, DatasetRead
from service.datasets.uploads import Upload, check_upload, checked, read_json
from service.erasure import erase_dataset, erase_jobs, erase_models
from service.errors import Conflict, NotFound
from service.queue import Nudges, after_commit
from service.specs.base import Metadata, Name, new_id
from service.specs.tasks import VALIDATE_DATASETS
from service.store import Store, UnitOfWork
from service.store.datasets import ARCHIVE, LIVE_JOB_STATES
from service.store.pages import PageQuery
from service.store.tables import DatasetRow


def submit(store: Store, nudges: Nudges, project_id: str, upload: Upload) -> str:
    """Checks the upload's structure, stores its bytes, then accepts the dataset for validation.

    Raises:
        Invalid: `name` or `metadata` is not valid.
        Others as `check_upload`.
    """
    name = checked(TypeAdapter(Name | None), upload.name, "name")
    document = {} if upload.metadata is None else read_json(upload.metadata, "metadata")
    metadata = checked(TypeAdapter(Metadata), document, "metadata")
    found = check_upload(upload)
    artifact = store.artifacts.write(upload.file, found.media_type)
    row = DatasetRow(
        id=new_id("ds"),
        project_id=project_id,
        name=name,
        labels=metadata,
        modality=upload.modality,
        options=found.options,
        state="validating",
        digest=artifact.sha256,
        size_bytes=artifact.size_bytes,
        ignored_files=found.ignored_files,
    )
    with store.work() as work:
        work.datasets.add(row)
        work.artifacts.attach({ARCHIVE: artifact}, row.id)
        work.accepted(f"/v1/datasets/{row.id}")
        work.after_commit(after_commit(nudges, VALIDATE_DATASETS))
    return row.id


def read(work: UnitOfWork, project_id: str, dataset_id: str) -> DatasetRead:
    """One dataset; raises `NotFound`."""
    return DatasetRead.from_row(_find(work, project_id, dataset_id))


def page(work: UnitOfWork, project_id: str, query: PageQuery) -> DatasetList:
    """A project's datasets, newest first."""
    rows, cursor = work.datasets.page(project_id, query)
    return DatasetList(data=[DatasetRead.from_row(row) for row in rows], next_cursor=cursor)


def delete(work: UnitOfWork, project_id: str, dataset_id: str, *, cascade: bool) -> None:
    """Deletes a dataset and what was said of its samples, with `cascade` also what was learned from it.

    Raises:
        NotFound: no such dataset.
        Conflict: a live job uses it.
    """
    if work.datasets.find(project_id, dataset_id, lock=True) is None:
        raise NotFound("No such dataset.")
    jobs = work.datasets.jobs_of(dataset_id)
    live = [job for job in jobs if job.state in LIVE_JOB_STATES]
    if live:
        raise Conflict(f"{len(live)} job(s) that use the dataset are still `{live[0].state}`; cancel them first.")
    if cascade:
        erase_models(work, work.models.ids_of_dataset(dataset_id))
        erase_jobs(work, [job.job_id for job in jobs])
    erase_dataset(work, dataset_id)


def _find(work: UnitOfWork, project_id: str, dataset_id: str) -> DatasetRow:
    row = work.datasets.find(project_id, dataset_id)
    if row is None:
        raise NotFound("No such dataset.")
    return row
