"""Bodies of datasets."""

from typing import Any

from pydantic import BaseModel

from service.problems import ProblemDocument
from service.specs.base import JsonObject, Spec
from service.specs.datasets import ImageProfile, ImageSample, Modality, Warning
from service.specs.tables import TableProfile
from service.specs.texts import TextProfile
from service.store.tables import DatasetRow
from service.times import Timestamp

PROFILES: dict[Modality, type[Spec]] = {"image": ImageProfile, "text": TextProfile, "tabular": TableProfile}


class DatasetRead(BaseModel):
    """An uploaded dataset. `profile` comes with `ready`, `problem` with `rejected`.

    `options` are what the upload's form said of its columns, and the file's format; none of images.
    """

    id: str
    name: str | None
    metadata: dict[str, str]
    modality: Modality
    options: JsonObject
    state: str
    size_bytes: int
    digest: str
    ignored_files: int
    profile: ImageProfile | TableProfile | TextProfile | None
    warnings: list[Warning]
    problem: ProblemDocument | None
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: DatasetRow) -> "DatasetRead":
        """The row as shown."""
        special = {"metadata", "profile"}
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name not in special}
        profile = None if row.profile is None else PROFILES[row.modality].model_validate(row.profile)
        return cls.model_validate({**fields, "metadata": row.labels, "profile": profile})


class DatasetList(BaseModel):
    """A page of datasets."""

    data: list[DatasetRead]
    next_cursor: str | None


class ImageSampleRead(BaseModel):
    """An image; `split` is set where the archive's folders name it, `metadata` where `metadata.csv` has columns."""

    path: str
    label: str
    split: str | None
    sha256: str
    metadata: dict[str, str | None]

    @classmethod
    def of(cls, sample: ImageSample, columns: list[str]) -> "ImageSampleRead":
        """The sample of a manifest with these columns."""
        values = sample.values or [None] * len(columns)
        fields = sample.model_dump(exclude={"values"})
        return cls.model_validate({**fields, "metadata": dict(zip(columns, values, strict=True))})


class RowRead(BaseModel):
    """A row of a table; `index` counts from 0.

    `row` is what a model of it takes: numbers, booleans, text, times as ISO 8601, null where missing. `label` and
    `value` are the target as a class and as a number, as far as it can be learned as such. `metadata` are the columns
    left out of the features.
    """

    index: int
    row: dict[str, float | bool | str | None]
    label: str | None
    value: float | None
    sha256: str
    metadata: dict[str, str | None]


class TextRead(BaseModel):
    """A text; `index` counts from 0, `metadata` are the upload's other columns."""

    index: int
    text: str
    label: str
    sha256: str
    metadata: dict[str, str | None]


class SampleList(BaseModel):
    """Samples in the order of the upload."""

    data: list[ImageSampleRead | RowRead | TextRead]
    next_cursor: str | None
