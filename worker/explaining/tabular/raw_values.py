"""Cells of a table as a client wrote them."""

import math
from typing import Any

import numpy as np

from service.specs.tables import NUMBER_KINDS, ColumnSchema
from worker.data.table import Table

_MICROSECONDS = 1_000_000


def raw_values(table: Table, column: ColumnSchema) -> list[float | str | bool | None]:
    """A column as JSON shows it: text as it is, datetimes as ISO 8601 in UTC, null where missing."""
    return [_raw(value, column.kind) for value in table.values[column.name].tolist()]


def _raw(value: Any, kind: str) -> float | str | bool | None:
    if kind not in NUMBER_KINDS:
        return value if value is None else str(value)
    if math.isnan(value):
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "datetime":
        moment = np.datetime64(round(value * _MICROSECONDS), "us")
        return f"{np.datetime_as_string(moment, unit='s' if value.is_integer() else 'us')}Z"
    return float(value)


def as_number(value: float | str | bool | None, kind: str) -> float:
    """A raw value as a number: seconds since 1970 for datetimes; NaN where missing or text."""
    if value is None or kind not in NUMBER_KINDS:
        return math.nan
    if isinstance(value, str):
        return int(np.datetime64(value.removesuffix("Z"), "us").astype(np.int64)) / _MICROSECONDS
    return float(value)
