"""The samples of a table as validation leaves them for trials: one typed Parquet file."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.specs.sample_columns import CLASS, DIGEST, VALUE
from service.specs.sample_rows import read_rows
from service.specs.tables import NUMBER_KINDS, ColumnSchema, TableManifest
from worker.data.row_groups import row_groups
from worker.data.table import Table, Values
from worker.data.tables.cells import Cells, Floats, NumberCells, TextCells
from worker.data.tables.target import Target

_GROUP_ROWS, _GROUP_CELLS = 65_536, 4_000_000
"""The most of a row group, which is read whole to show a page of samples."""
Read = Callable[[str], pa.ChunkedArray]
"""A column of the file by name."""


@dataclass(frozen=True)
class TableSamples:
    """A table's samples in the order of the upload.

    Attributes:
        table: the features.
        classes: [n] object array of str; None where the target can only be regressed.
        values: [n] float64; None where the target can only be classified.
        digests: SHA-256 of each row's features.
        columns: a feature's or an ignored column's values as text, None where missing; raises `ValueError` of others.
    """

    table: Table
    classes: NDArray[Any] | None
    values: Floats | None
    digests: list[str]
    columns: Callable[[str], list[str | None]]


def write_samples(path: Path, columns: dict[str, Cells], target: Target, digests: Sequence[str]) -> None:
    """Features by kind, ignored columns as text, then the target and the digests; in groups of rows."""
    fields = [pa.field(name, _type_of(cells)) for name, cells in columns.items()]
    ours: dict[str, tuple[pa.DataType, Any]] = {DIGEST: (pa.string(), digests)}
    if target.classes is not None:
        ours[CLASS] = (pa.string(), target.classes)
    if target.values is not None:
        ours[VALUE] = (pa.float64(), target.values)
    schema = pa.schema([*fields, *(pa.field(name, kind) for name, (kind, _) in ours.items())])
    rows = max(1, min(_GROUP_ROWS, _GROUP_CELLS // len(schema)))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in row_groups(_text_bytes(columns, target, len(digests)), rows):
            arrays = [_array(cells, part) for cells in columns.values()]
            arrays += [pa.array(values[part], kind) for kind, values in ours.values()]
            writer.write_table(pa.table(arrays, schema=schema))


def _text_bytes(columns: dict[str, Cells], target: Target, rows: int) -> NDArray[np.int64]:
    """[rows]: how long the texts of each row are together."""
    found = np.zeros(rows, dtype=np.int64)
    for cells in columns.values():
        if isinstance(cells, TextCells):
            lengths = np.array([*(len(text.encode()) for text in cells.texts), 0], dtype=np.int64)
            found += lengths[cells.codes]
    if target.classes is not None:
        found += np.array([len(label.encode()) for label in target.classes], dtype=np.int64)
    return found


def read_samples(path: Path, manifest: TableManifest) -> TableSamples:
    """What `write_samples` wrote, of the columns that the manifest names; missing numbers are NaN."""
    return _read(path, manifest, manifest.columns, lambda file: lambda name: file.read([name]).column(name))


def read_chosen_samples(
    path: Path, manifest: TableManifest, places: Sequence[int], names: Collection[str]
) -> TableSamples:
    """The rows at `places`, in that order, of the features only those in `names`; else as `read_samples`.

    Of the other rows no more is read than shares a group with these.

    Raises:
        IndexError: there is no such row.
    """
    features = [column for column in manifest.columns if column.name in names]
    return _read(path, manifest, features, lambda file: lambda name: read_rows(file, places, [name]).column(name))


def _read(
    path: Path, manifest: TableManifest, features: Sequence[ColumnSchema], reader: Callable[[pq.ParquetFile], Read]
) -> TableSamples:
    texts = [column.name for column in features if column.kind not in NUMBER_KINDS]
    has_classes = "tabular_classification" in manifest.problems
    has_values = "tabular_regression" in manifest.problems
    with pq.ParquetFile(path, read_dictionary=[*texts, *([CLASS] if has_classes else [])]) as file:
        read = reader(file)
        values = {column.name: _values(read, column) for column in features}
        classes = _objects(read, CLASS) if has_classes else None
        numbers = read(VALUE).to_numpy().copy() if has_values else None
        digests = read(DIGEST).to_pylist()

    def columns(name: str) -> list[str | None]:
        with pq.ParquetFile(path) as file:
            return _as_text(reader(file), name, manifest)

    return TableSamples(Table(tuple(features), values), classes, numbers, digests, columns)


def _as_text(read: Read, name: str, manifest: TableManifest) -> list[str | None]:
    kinds = {column.name: column.kind for column in manifest.columns}
    if name in kinds and kinds[name] in NUMBER_KINDS:
        schema = ColumnSchema(name=name, kind=kinds[name])
        numbers = NumberCells(kinds[name], _values(read, schema))  # type: ignore[arg-type]
        return list(numbers.as_text().objects())
    if name not in kinds and name not in manifest.ignored:
        raise ValueError("the table has no such column beside its target")
    return list(read(name).to_pylist())


def _objects(read: Read, name: str) -> NDArray[Any]:
    """[n] of str, None where missing; the texts are as they were written, whatever they mean."""
    encoded = read(name).unify_dictionaries().combine_chunks()
    whole = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.chunk(0)
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    found: NDArray[Any] = np.array([*whole.dictionary.to_pylist(), None], dtype=object)[codes]
    return found


def _values(read: Read, column: ColumnSchema) -> Values:
    if column.kind not in NUMBER_KINDS:
        return _objects(read, column.name)
    found = read(column.name)
    if column.kind == "boolean":
        found = found.cast(pa.uint8())
    if column.kind == "datetime":
        found = found.cast(pa.int64())
    numbers: Floats = found.cast(pa.float64()).fill_null(np.nan).to_numpy()
    return numbers / 1e6 if column.kind == "datetime" else numbers.copy()


def _type_of(cells: Cells) -> pa.DataType:
    if isinstance(cells, TextCells):
        return pa.string()
    return {"numeric": pa.float64(), "boolean": pa.bool_(), "datetime": pa.timestamp("us", "UTC")}[cells.kind]


def _array(cells: Cells, part: slice) -> pa.Array:
    if isinstance(cells, TextCells):
        return pa.array([cells.texts[code] if code >= 0 else None for code in cells.codes[part]], pa.string())
    values = cells.values[part]
    missing = np.isnan(values)
    if cells.kind == "numeric":
        return pa.array(values, mask=missing)
    whole = np.where(missing, 0.0, values)
    if cells.kind == "boolean":
        return pa.array(whole != 0.0, mask=missing)
    micros = np.round(whole * 1e6).astype(np.int64)
    return pa.array(micros, pa.int64(), mask=missing).cast(pa.timestamp("us", "UTC"))
