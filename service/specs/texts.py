"""What is known of a text dataset."""

from pydantic import Field

from service.specs.base import Spec
from service.specs.datasets import ClassCount, ColumnProfile
from service.specs.tables import ColumnName


class TextOptions(Spec):
    """What the owner says of an upload: the names of its columns."""

    text: ColumnName = "text"
    target: ColumnName = "label"


class TextManifest(Spec):
    """What validation decided about texts; written once, read by trials.

    Attributes:
        text, target: names of the columns in the upload.
        classes: sorted; the order of a model's outputs.
        columns: the upload's other columns: groups and times of a split.
    """

    text: str
    target: str
    classes: list[str]
    columns: list[str] = Field(default_factory=list)
    samples: int


class TextProfile(Spec):
    """What validation found.

    Attributes:
        median_tokens, longest_tokens: by the default backbone's tokenizer.
        columns: the upload's other ones, which a split may name.
    """

    samples: int
    classes: list[ClassCount] = Field(default_factory=list)
    median_tokens: int
    longest_tokens: int
    columns: list[ColumnProfile] = Field(default_factory=list)
