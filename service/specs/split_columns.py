"""What can be said of a dataset's columns before its samples are dealt by one of them."""

from collections.abc import Mapping
from typing import Any

from service.specs.datasets import ColumnProfile, Modality

ORDERED_KINDS = ("numeric", "datetime")


def split_columns(modality: Modality, profile: Mapping[str, Any]) -> list[ColumnProfile]:
    """The columns that `split.group_column` and `split.time_column` may name, from a validated dataset's profile."""
    if modality != "tabular":
        return [ColumnProfile.model_validate(column) for column in profile.get("columns", [])]
    return [_of_table(column) for column in profile["columns"] if column["name"] != profile["target"]["name"]]


def _of_table(column: Mapping[str, Any]) -> ColumnProfile:
    """Of ignored columns only the values tell whether they are times: the trial looks at them."""
    is_ordered = column["kind"] == "ignore" or (column["kind"] in ORDERED_KINDS and column["missing"] == 0)
    return ColumnProfile(
        name=column["name"],
        distinct=column["distinct"],
        missing=column["missing"],
        first_without_time=None if is_ordered else "a row",
    )
