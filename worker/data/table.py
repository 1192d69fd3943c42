"""A table in memory: typed columns of equal length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.specs.tables import NUMBER_KINDS, ColumnSchema

Values = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Feature columns by name, in the order of `schema`.

    Attributes:
        values: numeric, boolean (0, 1) and datetime (seconds since 1970) columns as float64 with NaN where missing;
            categorical and text columns as object arrays of str, None where missing. Each [n].
    """

    schema: tuple[ColumnSchema, ...]
    values: Mapping[str, Values]

    def __len__(self) -> int:
        """Rows."""
        return len(self.values[self.schema[0].name]) if self.schema else 0

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Table":
        """The rows at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Table(self.schema, {name: column[chosen] for name, column in self.values.items()})


def table_of(schema: Sequence[ColumnSchema], rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table of rows that were checked against `schema`: numbers or None, text or None; absent values are missing."""
    values: dict[str, Values] = {}
    for column in schema:
        found = [row.get(column.name) for row in rows]
        if column.kind in NUMBER_KINDS:
            values[column.name] = np.array([np.nan if value is None else float(value) for value in found])
        else:
            values[column.name] = np.array(found, dtype=object)
    return Table(tuple(schema), values)
