"""Datasets: upload, look, delete."""

from typing import Annotated

from fastapi import Depends, File, Form, Query, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from service.datasets import actions, samples
from service.datasets.schemas import DatasetList, DatasetRead, SampleList
from service.datasets.uploads import Upload
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
from service.specs.datasets import Modality, Split

router = door_router("/datasets", "datasets")
ARCHIVE_ERRORS = (ArchiveUnsafePath, ArchiveSpecialFile, ArchiveEncrypted, ArchiveBomb, ArchiveAmbiguous,
                  ArchiveUnexpectedFile)  # fmt: skip


def said_of_columns(
    target: Annotated[
        str | None, Form(description="Column to be learned: `label` of texts, the last one of tables unless given.")
    ] = None,
    text: Annotated[str | None, Form(description="Column with the texts, `text` unless given; text only.")] = None,
    columns: Annotated[
        str | None,
        Form(
            description="JSON object of columns whose kind is not to be inferred: numeric, categorical, boolean, "
            "datetime, text, or ignore; tabular only."
        ),
    ] = None,
    delimiter: Annotated[
        str | None, Form(description="Of a CSV file: comma, semicolon, tab or bar; tabular only.")
    ] = None,
) -> dict[str, str]:
    """The fields that were sent."""
    fields = {"target": target, "text": text, "columns": columns, "delimiter": delimiter}
    return {name: value for name, value in fields.items() if value is not None}


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
            description="image: a zip of <class>/<image>, or <split>/<class>/<image>; metadata.csv may say more of "
            "each image. tabular: CSV (UTF-8, with a header) or Parquet. text: JSON Lines or CSV."
        ),
    ],
    modality: Annotated[Modality, Form()],
    said: Annotated[dict[str, str], Depends(said_of_columns)],
    name: Annotated[str | None, Form()] = None,
    metadata: Annotated[str | None, Form(description="JSON object of strings")] = None,
) -> DatasetRead:
    """Uploads a dataset; its structure is checked before the answer, its contents after."""
    upload = Upload(file.file, modality, name, metadata, said)
    dataset_id = await run_in_threadpool(actions.submit, store, nudges, caller.project_id, upload)
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
    """Deletes a dataset, predictions and explanations of its samples; with `cascade` its jobs and models too."""
    actions.delete(work, caller.project_id, dataset_id, cascade=cascade)


@router.get("/{dataset_id}/samples", responses=error_docs(NotFound, Conflict, Invalid))
def list_samples(
    dataset_id: str,
    store: Stored,
    caller: Caller,
    split: Split | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> SampleList:
    """Samples of a ready dataset in the order of the upload; `split` is for images whose folders name one."""
    with store.read() as work:
        source = samples.find_source(work, caller.project_id, dataset_id)
    return samples.list_samples(store.artifacts, source, samples.SampleQuery(split, limit, cursor))
