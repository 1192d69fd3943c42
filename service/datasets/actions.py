"""Rules for datasets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeVar

from pydantic import TypeAdapter, ValidationError

from service.datasets.schemas import DatasetList, DatasetRead, SampleList, SampleRead
from service.erasure import erase_job, erase_model
from service.errors import Conflict, Fault, Invalid, MalformedJson, NotFound
from service.problems import invalid
from service.queue import Nudges, after_commit
from service.routing import parse_json
from service.specs.archives import ArchiveListing
from service.specs.base import Metadata, Name, new_id
from service.specs.datasets import Manifest
from service.specs.tasks import VALIDATE_DATASETS
from service.store import Artifact, Store, UnitOfWork
from service.store.datasets import ARCHIVE, LIVE_JOB_STATES, MANIFEST
from service.store.pages import PageQuery
from service.store.tables import DatasetRow

T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """An upload's file and form fields."""

    file: IO[bytes]
    modality: str
    name: str | None
    metadata: str | None


def submit(store: Store, nudges: Nudges, project_id: str, upload: Upload, check: Callable[..., ArchiveListing]) -> str:
    """Checks the archive's structure, stores its bytes, then accepts the dataset for validation.

    Raises:
        Invalid: a form field is not valid, or its modality is not served.
        UnsupportedMediaType, ArchiveError, DatasetTooSmall, TargetInvalid: as `list_images`.
        CsvMalformed, DuplicateColumn: as `read_metadata`.
    """
    name = _checked(TypeAdapter(Name | None), upload.name, "name")
    metadata = _checked(TypeAdapter(Metadata), _json_object(upload.metadata), "metadata")
    if upload.modality != "image":
        fault = Fault(("body", "modality"), "not-served", "only `image` is served by this version")
        raise Invalid("The modality is not served.", errors=[fault])
    listing = check(upload.file)
    upload.file.seek(0)
    artifact = store.artifacts.write(upload.file, "application/zip")
    row = DatasetRow(
        id=new_id("ds"),
        project_id=project_id,
        name=name,
        labels=metadata,
        modality=upload.modality,
        state="validating",
        digest=artifact.sha256,
        size_bytes=artifact.size_bytes,
        ignored_files=listing.ignored_files,
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


def samples_artifact(work: UnitOfWork, project_id: str, dataset_id: str) -> Artifact:
    """Where the samples of a ready dataset are listed; raises `NotFound`, `Conflict`."""
    row = _find(work, project_id, dataset_id)
    artifact = work.artifacts.find(dataset_id, MANIFEST)
    if row.state != "ready" or artifact is None:
        raise Conflict(f"The dataset is `{row.state}`; samples can be listed once it is `ready`.")
    return artifact


def list_samples(manifest: Manifest, split: str | None, limit: int, after: int) -> SampleList:
    """Samples in archive order, `limit` from position `after` on."""
    chosen = [sample for sample in manifest.samples if split in (None, sample.split)]
    data = [SampleRead.of(sample, manifest.columns) for sample in chosen[after : after + limit]]
    return SampleList(data=data, next_cursor=str(after + limit) if after + limit < len(chosen) else None)


def delete(work: UnitOfWork, project_id: str, dataset_id: str, *, cascade: bool) -> None:
    """Deletes a dataset, and with `cascade` what was learned from it; raises `NotFound`, `Conflict`."""
    if work.datasets.find(project_id, dataset_id, lock=True) is None:
        raise NotFound("No such dataset.")
    jobs = work.datasets.jobs_of(dataset_id)
    live = [job for job in jobs if job.state in LIVE_JOB_STATES]
    if live:
        raise Conflict(f"{len(live)} job(s) that use the dataset are still `{live[0].state}`; cancel them first.")
    if cascade:
        for job in jobs:
            if job.model_id is not None:
                erase_model(work, job.model_id)
            erase_job(work, job.id)
    work.artifacts.abandon(dataset_id)
    work.datasets.delete(dataset_id)


def _find(work: UnitOfWork, project_id: str, dataset_id: str) -> DatasetRow:
    row = work.datasets.find(project_id, dataset_id)
    if row is None:
        raise NotFound("No such dataset.")
    return row


def _json_object(text: str | None) -> object:
    if text is None:
        return {}
    try:
        return parse_json(text.encode())
    except (MalformedJson, UnicodeError) as error:
        fault = Fault(("body", "metadata"), "json", "not valid JSON")
        raise Invalid("metadata is not valid JSON.", errors=[fault]) from error


def _checked(adapter: TypeAdapter[T], value: object, field: str) -> T:
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise invalid([{**fault, "loc": ("body", field, *fault["loc"])} for fault in error.errors()]) from error
