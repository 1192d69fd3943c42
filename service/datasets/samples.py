"""Samples of a ready dataset, page by page: images from the manifest, rows and texts from `samples.parquet`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from service.datasets.schemas import ImageSampleRead, RowRead, SampleList, TextRead
from service.errors import Conflict, Fault, Invalid, NotFound
from service.specs.datasets import Manifest, Modality
from service.specs.sample_columns import CLASS, DIGEST, TEXT, VALUE
from service.specs.sample_rows import read_rows
from service.specs.tables import TableManifest
from service.specs.texts import TextManifest
from service.store import Artifact, UnitOfWork
from service.store.artifact_file import ArtifactFile
from service.store.artifacts import ArtifactStore
from service.store.datasets import MANIFEST, SAMPLES


@dataclass(frozen=True)
class SampleQuery:
    """One page: `limit` samples from position `after` on, of one split if that is given."""

    split: str | None
    limit: int
    after: int


@dataclass(frozen=True)
class Source:
    """Where a dataset's samples are listed, and, of rows and texts, where they are."""

    modality: Modality
    manifest: Artifact
    samples: Artifact | None


def find_source(work: UnitOfWork, project_id: str, dataset_id: str) -> Source:
    """Of a ready dataset; raises `NotFound`, `Conflict`."""
    row = work.datasets.find(project_id, dataset_id)
    if row is None:
        raise NotFound("No such dataset.")
    manifest, samples = (work.artifacts.find(dataset_id, name) for name in (MANIFEST, SAMPLES))
    if row.state != "ready" or manifest is None:
        raise Conflict(f"The dataset is `{row.state}`; samples can be listed once it is `ready`.")
    return Source(row.modality, manifest, samples)


def list_samples(artifacts: ArtifactStore, source: Source, query: SampleQuery) -> SampleList:
    """One page, in the order of the upload.

    Raises:
        Invalid: a split of rows or texts, which a job deals and the upload does not name.
    """
    manifest = artifacts.read_bytes(source.manifest)
    if source.modality == "image":
        return _images(Manifest.model_validate_json(manifest), query)
    if query.split is not None:
        rule = "uploads of rows and texts name no split; each job deals its own, in split.json of its model"
        raise Invalid("The dataset has no splits.", errors=[Fault(("query", "split"), "no-split", rule)])
    assert source.samples is not None, "it was written with the manifest"
    file = ArtifactFile(artifacts, source.samples)
    if source.modality == "tabular":
        return _rows(TableManifest.model_validate_json(manifest), file, query)
    return _texts(TextManifest.model_validate_json(manifest), file, query)


def _images(manifest: Manifest, query: SampleQuery) -> SampleList:
    chosen = [sample for sample in manifest.samples if query.split in (None, sample.split)]
    shown = chosen[query.after : query.after + query.limit]
    data = [ImageSampleRead.of(sample, manifest.columns) for sample in shown]
    return SampleList(data=[*data], next_cursor=_next(query, len(chosen)))


def _rows(manifest: TableManifest, file: ArtifactFile, query: SampleQuery) -> SampleList:
    features = [column.name for column in manifest.columns]
    data = [
        RowRead(
            index=index,
            row={name: _cell(cells[name]) for name in features},
            label=cells.get(CLASS),
            value=cells.get(VALUE),
            sha256=cells[DIGEST],
            metadata={name: cells[name] for name in manifest.ignored},
        )
        for index, cells in _read(file, query)
    ]
    return SampleList(data=[*data], next_cursor=_next(query, manifest.rows))


def _texts(manifest: TextManifest, file: ArtifactFile, query: SampleQuery) -> SampleList:
    data = [
        TextRead(
            index=index,
            text=cells[TEXT],
            label=cells[CLASS],
            sha256=cells[DIGEST],
            metadata={name: cells[name] for name in manifest.columns},
        )
        for index, cells in _read(file, query)
    ]
    return SampleList(data=[*data], next_cursor=_next(query, manifest.samples))


def _read(source: ArtifactFile, query: SampleQuery) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and cells of each sample of the page."""
    with pq.ParquetFile(source) as file:
        places = range(query.after, min(query.after + query.limit, file.metadata.num_rows))
        yield from zip(places, read_rows(file, places).to_pylist(), strict=True)


def _cell(value: Any) -> Any:
    """As JSON and as explanations show it: times are ISO 8601 in UTC, to the second where that is exact."""
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=None).isoformat(timespec="microseconds" if value.microsecond else "seconds") + "Z"


def _next(query: SampleQuery, total: int) -> str | None:
    stop = query.after + query.limit
    return str(stop) if stop < total else None
