"""Datasets: upload, look, delete."""

from typing import Annotated

from fastapi import File, Form, Query, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from service.datasets import actions
from service.datasets.schemas import DatasetList, DatasetRead, SampleList
from service.deps import Caller, Nudging, Page, Stored, Waiting, Work
from service.errors import (
    ArchiveAmbiguous,
    ArchiveBomb,
    ArchiveEncrypted,
    ArchiveSpecialFile,
    ArchiveUnexpectedFile,
    ArchiveUnsafePath,
    Conflict,
    CsvMalformed,
    DatasetTooSmall,
    DuplicateColumn,
    Invalid,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    TargetInvalid,
    UnsupportedMediaType,
)
from service.problems import error_docs
from service.quotas import ROOM_FOR_AN_UPLOAD
from service.routing import door_router
from service.specs.archive_metadata import check_archive
from service.specs.datasets import Manifest, Split

router = door_router("/datasets", "datasets")
ARCHIVE_ERRORS = (ArchiveUnsafePath, ArchiveSpecialFile, ArchiveEncrypted, ArchiveBomb, ArchiveAmbiguous,
                  ArchiveUnexpectedFile)  # fmt: skip


@router.post(
    "",
    status_code=201,
    dependencies=[ROOM_FOR_AN_UPLOAD],
    responses=error_docs(
        *(
            Invalid,
            PayloadTooLarge,
            QuotaExceeded,
            UnsupportedMediaType,
            DatasetTooSmall,
            TargetInvalid,
            *ARCHIVE_ERRORS,
        ),
        *(CsvMalformed, DuplicateColumn),
    ),
)
async def upload_dataset(
    caller: Caller,
    desk: Waiting,
    store: Stored,
    nudges: Nudging,
    response: Response,
    file: Annotated[
        UploadFile,
        File(
            description="A zip of <class>/<image>, or <split>/<class>/<image>; metadata.csv may say more of each image."
        ),
    ],
    modality: Annotated[str, Form(max_length=20)],
    name: Annotated[str | None, Form()] = None,
    metadata: Annotated[str | None, Form(description="JSON object of strings")] = None,
) -> DatasetRead:
    """Uploads a dataset; its structure is checked before the answer, its contents after."""
    upload = actions.Upload(file.file, modality, name, metadata)
    dataset_id = await run_in_threadpool(actions.submit, store, nudges, caller.project_id, upload, check_archive)
    response.headers["Location"] = f"/v1/datasets/{dataset_id}"
    return await desk.settled(actions.read, caller.project_id, dataset_id)


@router.get("")
def list_datasets(work: Work, caller: Caller, page: Page) -> DatasetList:
    """The project's datasets, newest first."""
    return actions.page(work, caller.project_id, page)


@router.get("/{dataset_id}", responses=error_docs(NotFound))
async def read_dataset(dataset_id: str, caller: Caller, desk: Waiting) -> DatasetRead:
    """One dataset."""
    return await desk.settled(actions.read, caller.project_id, dataset_id)


@router.delete("/{dataset_id}", status_code=204, responses=error_docs(NotFound, Conflict))
def delete_dataset(dataset_id: str, work: Work, caller: Caller, cascade: bool = False) -> None:
    """Deletes a dataset; with `cascade` its jobs and models too."""
    actions.delete(work, caller.project_id, dataset_id, cascade=cascade)


@router.get("/{dataset_id}/samples", responses=error_docs(NotFound, Conflict))
def list_samples(
    dataset_id: str,
    store: Stored,
    caller: Caller,
    split: Split | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> SampleList:
    """Samples of a ready dataset in archive order."""
    with store.read() as work:
        artifact = actions.samples_artifact(work, caller.project_id, dataset_id)
    manifest = Manifest.model_validate_json(store.artifacts.read_bytes(artifact))
    return actions.list_samples(manifest, split, limit, cursor)
