"""A dataset of rows as validation left it, read and dealt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.specs.datasets import ImageSample, Manifest
from service.specs.jobs import SplitSpec
from service.specs.tables import NUMBER_KINDS, ColumnSchema, TableManifest
from worker.data.deals import Deal
from worker.data.splits import deal
from worker.data.table import Table, Values
from worker.training.order import TrialOrder
from worker.training.table_data import TableData, class_indices

CLASS, VALUE, DIGEST = "\x00class", "\x00value", "\x00sha256"
STRATA = 10


def table_data(order: TrialOrder) -> TableData:
    """The rows of `samples.parquet` with their targets, dealt as the spec says; of values by their deciles.

    Raises:
        TargetInvalid, DatasetTooSmall: the rows cannot be dealt.
    """
    manifest, spec = order.manifest, order.spec
    assert isinstance(manifest, TableManifest)
    found = pq.read_table(order.archive)
    table = Table(
        tuple(manifest.columns),
        {column.name: _values(found.column(column.name), column) for column in manifest.columns},
    )
    if spec.problem == "tabular_regression":
        values = _floats(found.column(VALUE))
        return TableData(table, [], values, _dealt(found, strata(values), spec.split, spec.seed))
    labels = [str(label) for label in found.column(CLASS).to_pylist()]
    targets = class_indices(labels, manifest.classes)
    return TableData(table, manifest.classes, targets, _dealt(found, labels, spec.split, spec.seed))


def strata(values: NDArray[np.float64]) -> list[str]:
    """[n] the decile of each value, equal values together; of fewer than 300 rows fewer parts, two at least."""
    parts = max(2, min(STRATA, len(values) // 30))
    edges = np.quantile(values, np.arange(1, parts) / parts)
    return [str(place) for place in np.searchsorted(edges, values, side="left")]


def _dealt(found: pa.Table, labels: Sequence[str], split: SplitSpec, seed: int) -> Deal:
    """As images are dealt: rows of equal features stay together."""
    named = [name for name in (split.group_column, split.time_column) if name is not None]
    columns = [_texts(found.column(name)) for name in named]
    samples = [
        ImageSample(path=str(row), label=label, sha256=digest, values=[column[row] for column in columns])
        for row, (label, digest) in enumerate(zip(labels, found.column(DIGEST).to_pylist(), strict=True))
    ]
    return deal(Manifest(classes=sorted(set(labels)), samples=samples, columns=named), split, seed)


def _values(column: pa.ChunkedArray, schema: ColumnSchema) -> Values:
    if schema.kind not in NUMBER_KINDS:
        return np.array(column.to_pylist(), dtype=object)
    if schema.kind == "datetime":
        microseconds = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        return _floats(microseconds) / 1e6
    return _floats(column)


def _floats(column: pa.ChunkedArray) -> Values:
    filled: Any = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan"))
    return np.array(filled.to_numpy(), dtype=np.float64)


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    return texts
