"""Bodies of datasets."""

from typing import Any

from pydantic import BaseModel

from service.problems import ProblemDocument
from service.specs.datasets import ImageProfile, ImageSample, Warning
from service.store.tables import DatasetRow
from service.times import Timestamp


class DatasetRead(BaseModel):
    """An uploaded dataset. `profile` comes with `ready`, `problem` with `rejected`."""

    id: str
    name: str | None
    metadata: dict[str, str]
    modality: str
    state: str
    size_bytes: int
    digest: str
    ignored_files: int
    profile: ImageProfile | None
    warnings: list[Warning]
    problem: ProblemDocument | None
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: DatasetRow) -> "DatasetRead":
        """The row as shown."""
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name != "metadata"}
        return cls.model_validate({**fields, "metadata": row.labels})


class DatasetList(BaseModel):
    """A page of datasets."""

    data: list[DatasetRead]
    next_cursor: str | None


class SampleRead(BaseModel):
    """One sample; `split` is set where the archive's folders name it, `metadata` where `metadata.csv` has columns."""

    path: str
    label: str
    split: str | None
    sha256: str
    metadata: dict[str, str | None]

    @classmethod
    def of(cls, sample: ImageSample, columns: list[str]) -> "SampleRead":
        """The sample of a manifest with these columns."""
        values = sample.values or [None] * len(columns)
        fields = sample.model_dump(exclude={"values"})
        return cls.model_validate({**fields, "metadata": dict(zip(columns, values, strict=True))})


class SampleList(BaseModel):
    """Samples in archive order."""

    data: list[SampleRead]
    next_cursor: str | None
