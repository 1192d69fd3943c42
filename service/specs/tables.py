"""What is known of a tabular dataset: its columns, their kinds, its target."""

from typing import Annotated, Literal

from pydantic import Field

from service.specs.base import NO_NUL, Spec

ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "text"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
NUMBER_KINDS: frozenset[ColumnKind] = frozenset({"numeric", "boolean", "datetime"})
"""Kept as numbers: booleans as 0 and 1, datetimes as seconds since 1970."""


MIN_ROWS = 10
Delimiter = Literal[",", ";", "\t", "|"]


class TableOptions(Spec):
    """What the owner says of an upload.

    Fields:
        target: the column to be learned; null is the last one.
        columns: kinds that are not to be inferred; `ignore` leaves a column out of the features.
        delimiter: of a CSV file; null takes the one that its header shows.
    """

    target: ColumnName | None = None
    columns: dict[ColumnName, Literal[ColumnKind, "ignore"]] = Field(default_factory=dict, max_length=2000)
    delimiter: Delimiter | None = None


class ColumnSchema(Spec):
    """One column of features."""

    name: ColumnName
    kind: ColumnKind


class TableManifest(Spec):
    """What validation decided about a table; written once, read by trials and models.

    Attributes:
        columns: the features, in the order of the file; neither the target nor ignored columns.
        ignored: columns that the owner or validation left out of the features.
        target: the column to be learned.
        problems: what can be learned from the target, the default first.
        classes: the target's values as text, sorted; empty where it can only be regressed.
        rows: how many.
    """

    columns: list[ColumnSchema]
    ignored: list[ColumnName] = Field(default_factory=list)
    target: ColumnName
    problems: list[Literal["tabular_classification", "tabular_regression"]]
    classes: list[str] = Field(default_factory=list)
    rows: int


class TableColumnProfile(Spec):
    """One column as found: numbers for numeric, boolean and datetime columns (seconds since 1970), else null."""

    name: str
    kind: ColumnKind | Literal["ignore"]
    missing: int
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


class TargetProfile(Spec):
    """The column to be learned: its classes with their counts, or its spread."""

    name: str
    problems: list[str]
    classes: dict[str, int] = Field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


class TableProfile(Spec):
    """What validation found in a table."""

    rows: int
    columns: list[TableColumnProfile]
    target: TargetProfile
