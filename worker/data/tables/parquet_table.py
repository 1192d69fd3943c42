"""Parquet files into columns of numbers and text. For a child process: the format's reader is native code."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.errors import Fault, Invalid, PayloadTooLarge, UnsupportedMediaType
from service.specs.archive_paths import show_path
from service.specs.cell_values import FIRST_TIME, LAST_TIME
from service.specs.csv_reader import DEFAULT_LIMITS, CsvLimits, check_header
from worker.data.tables.cells import Cells, NumberCells, RawTable, text_cells

_TAKEN = "numbers, booleans, dates, timestamps and strings are taken"


def read_parquet(path: Path, limits: CsvLimits = DEFAULT_LIMITS) -> RawTable:
    """Columns by their types, each read when its cells are asked for, which raises the same errors.

    Integers, floats and decimals are numeric, dates and timestamps seconds since 1970 (in UTC where they have no
    zone). Strings stay dictionary-encoded, so that a small file cannot unpack to endless copies of one text.

    Raises:
        UnsupportedMediaType: the file is damaged or encrypted.
        Invalid: a column is nested, binary, a duration or a time of day.
        CsvMalformed, DuplicateColumn: column names break the rules of `check_header`.
        PayloadTooLarge: beyond `limits`.
    """
    try:
        schema = pq.read_schema(path)
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable() from error
    _check(schema, metadata, limits)
    strings = [field.name for field in schema if _is_string(field.type)]

    def cells(name: str) -> Cells:
        try:
            with pq.ParquetFile(path, read_dictionary=strings) as file:
                return _cells(file.read([name]).column(name), name, limits)  # of `a` it also reads `a.b`
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _unreadable() from error

    return RawTable(tuple(schema.names), cells, metadata.num_rows)


def _unreadable() -> UnsupportedMediaType:
    return UnsupportedMediaType("The Parquet file is damaged or encrypted, or written in a way that is not known.")


def _check(schema: pa.Schema, metadata: pq.FileMetaData, limits: CsvLimits) -> None:
    check_header(schema.names, limits.columns)
    faults = [
        Fault(("columns", show_path(field.name)), "unsupported-type", f"The column is of type {field.type}; {_TAKEN}.")
        for field in schema
        if not (_is_string(field.type) or _is_number(field.type) or pa.types.is_null(field.type))
    ]
    if faults:
        raise Invalid("Columns are of types that are not taken.", errors=faults[:100])
    rows = metadata.num_rows
    if rows > limits.rows or rows * len(schema.names) > limits.cells:
        raise PayloadTooLarge(f"At most {limits.rows} rows and {limits.cells} cells are taken.")


def _cells(column: pa.ChunkedArray, name: str, limits: CsvLimits) -> Cells:
    kind = column.type
    if pa.types.is_null(kind):
        return text_cells(column.cast(pa.string()))
    if _is_string(kind):
        cells = text_cells(column if pa.types.is_dictionary(kind) else column.cast(pa.string()))
        if any(len(text.encode()) > limits.field_bytes for text in cells.texts):
            fault = Fault(
                ("columns", show_path(name)), "too-long", f"A text is longer than {limits.field_bytes} bytes."
            )
            raise Invalid("A text of the table is too long.", errors=[fault])
        return cells
    if pa.types.is_boolean(kind):
        return NumberCells("boolean", _floats(column))
    if pa.types.is_temporal(kind):
        micros = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        seconds = _floats(micros) / 1e6
        if ((seconds < FIRST_TIME) | (seconds > LAST_TIME)).any():
            fault = Fault(("columns", show_path(name)), "out-of-range", "A time is before the year 1 or after 9999.")
            raise Invalid("A time of the table is out of range.", errors=[fault])
        return NumberCells("datetime", seconds)
    return NumberCells("numeric", _floats(column))


def _floats(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[n] float64, NaN where null; integers beyond 2^53 lose their last digits, as in any float64."""
    numbers = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = (
        pc.cast(numbers, pa.float64(), safe=False).fill_null(np.nan).to_numpy().astype(np.float64)
    )
    return values


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_string(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    is_time = types.is_timestamp(kind) or types.is_date(kind)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
                or is_time)  # fmt: skip
