"""What a model of tables keeps of its train split, for explanations: some rows, and the mean of all."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.errors import ArtifactCorrupt
from service.specs.tables import NUMBER_KINDS, ColumnSchema
from worker.data.table import Table, Values
from worker.estimators.predictors import Floats

MOST_ROWS = 100


def choose_background(train: Table, targets: NDArray[Any], *, seed: int, most: int = MOST_ROWS) -> Table:
    """At most `most` rows, spread evenly over the targets.

    A systematic sample of the rows in the order of their class, or of their value, equal ones shuffled: classes and
    quantiles are there in their shares, give or take one row. `targets` are [n] class indices or values.
    """
    count = min(most, len(train))
    generator = np.random.default_rng(seed)
    order = np.lexsort((generator.random(len(train)), targets))
    steps = (np.arange(count) + generator.random()) * len(train) / max(count, 1)
    return train.take(np.sort(order[steps.astype(np.int64)]))


def center_of(encoded: Floats) -> Floats:
    """[n, d] → [d] means, of a column what is not missing; 0 where nothing is there."""
    present = ~np.isnan(encoded)
    result: Floats = np.where(present, encoded, 0.0).sum(0) / np.maximum(present.sum(0), 1)
    return result


def write_rows(table: Table) -> bytes:
    """A Parquet file: numbers as float64, NaN where missing; the rest as strings, null where missing."""
    columns = {
        column.name: pa.array(
            table.values[column.name].tolist(), pa.float64() if column.kind in NUMBER_KINDS else pa.string()
        )
        for column in table.schema
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def read_rows(content: bytes, schema: tuple[ColumnSchema, ...]) -> Table:
    """The table of `write_rows`.

    Raises:
        ArtifactCorrupt: not Parquet, or of other columns.
    """
    try:
        found = pq.read_table(pa.BufferReader(content))
        values = {column.name: _values(found.column(column.name), column) for column in schema}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ArtifactCorrupt("The model's background rows are damaged.") from error
    return Table(schema, values)


def _values(found: pa.ChunkedArray, column: ColumnSchema) -> Values:
    if column.kind in NUMBER_KINDS:
        return np.array(found.cast(pa.float64()).to_pylist(), dtype=np.float64)
    return np.array(found.cast(pa.string()).to_pylist(), dtype=object)
