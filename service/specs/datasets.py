"""What is known of a dataset: its samples and its profile."""

from typing import Literal

from pydantic import Field

from service.specs.base import Spec

Modality = Literal["image", "text", "tabular"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class ImageSample(Spec):
    """One image of an archive: its path there, its class, the split its folder names, the digest of its bytes.

    `values` are those of the manifest's columns, in their order; empty where `metadata.csv` has no row for it.
    """

    path: str
    label: str
    split: Split | None = None
    sha256: str
    values: list[str | None] = Field(default_factory=list)


class Manifest(Spec):
    """Every sample of an image dataset, in archive order; written once by validation, read by trials.

    `classes` fixes the class order that models keep: sorted by name. `columns` are those of `metadata.csv`.
    """

    classes: list[str]
    samples: list[ImageSample]
    columns: list[str] = Field(default_factory=list)

    def column(self, name: str) -> list[str | None]:
        """One column's value of every sample; raises `ValueError` where there is no such column."""
        place = self.columns.index(name)
        return [sample.values[place] if sample.values else None for sample in self.samples]


class Warning(Spec):
    """Something about a dataset or a job that its owner should know."""

    code: str
    message: str


class ClassCount(Spec):
    """How many samples a class has."""

    name: str
    samples: int


class ColumnProfile(Spec):
    """A column of `metadata.csv`: how many different values it has, and how many samples have none.

    `first_without_time` is the path of the first sample whose value is no time; null: the column orders all samples.
    """

    name: str
    distinct: int
    missing: int
    first_without_time: str | None


class ImageProfile(Spec):
    """What validation found in an image dataset; widths and heights in pixels."""

    samples: int
    classes: list[ClassCount] = Field(default_factory=list)
    median_width: int
    median_height: int
    has_predefined_split: bool = False
    columns: list[ColumnProfile] = Field(default_factory=list)
