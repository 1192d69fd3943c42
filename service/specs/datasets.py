"""What is known of a dataset: its samples and its profile."""

from typing import Literal

from pydantic import Field

from service.specs.base import Spec

Modality = Literal["image", "text", "tabular"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class ImageSample(Spec):
    """One image of an archive: its path there, its class, the split its folder names, the digest of its bytes."""

    path: str
    label: str
    split: Split | None = None
    sha256: str


class Manifest(Spec):
    """Every sample of an image dataset, in archive order; written once by validation, read by trials.

    `classes` fixes the class order that models keep: sorted by name.
    """

    classes: list[str]
    samples: list[ImageSample]


class Warning(Spec):
    """Something about a dataset or a job that its owner should know."""

    code: str
    message: str


class ClassCount(Spec):
    """How many samples a class has."""

    name: str
    samples: int


class ImageProfile(Spec):
    """What validation found in an image dataset; widths and heights in pixels."""

    samples: int
    classes: list[ClassCount] = Field(default_factory=list)
    median_width: int
    median_height: int
    has_predefined_split: bool = False
