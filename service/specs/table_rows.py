"""Rows that a model is asked about: from JSON, from a CSV file, from JSON lines; checked against its columns."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import Fault, Invalid, MalformedJson, PayloadTooLarge, TooManyItems
from service.specs.archive_paths import show_path
from service.specs.cell_values import is_missing, number_text, parse_number, parse_switch, parse_time
from service.specs.csv_reader import DEFAULT_LIMITS, MAX_FAULTS, CsvReader
from service.specs.strict_json import read_json
from service.specs.tables import ColumnKind, ColumnSchema

MAX_TEXT_BYTES = DEFAULT_LIMITS.field_bytes
MAX_LINE_BYTES = 1024**2
MAX_CELLS = 2_000_000
"""Of all rows that are asked about together: some hundred megabytes of memory."""
Value = float | str | None
_EXPECTED: dict[ColumnKind, str] = {
    "numeric": "a finite number",
    "boolean": "true or false",
    "datetime": "an ISO 8601 date or time",
    "categorical": f"a text of at most {MAX_TEXT_BYTES} bytes",
    "text": f"a text of at most {MAX_TEXT_BYTES} bytes",
}


class _Misfit(ValueError):
    """A cell's value is not of its column's kind."""


def checked_rows(
    columns: Sequence[ColumnSchema], rows: Sequence[Mapping[str, Any]], *, where: tuple[str | int, ...]
) -> list[dict[str, Value]]:
    """Rows with every column's value as `worker.data.table.table_of` takes them.

    Numbers as they are, booleans as 0.0 and 1.0, times as seconds since 1970, text as it is; None where the value is
    null, absent, or text that means "no value" (`cell_values.MISSING`). Text is read by the column's kind: the cells
    of a CSV file are nothing else. A category may be sent as a number: `1` and `1.0` are the category "1".
    A fault's place is `where`, the row's number (from 0) and the column.

    Raises:
        Invalid: unknown columns, or values that are not of their column's kind; `errors` names up to 100.
    """
    kinds = {column.name: column.kind for column in columns}
    faults: list[Fault] = []
    found: list[dict[str, Value]] = []
    for index, row in enumerate(rows):
        for name in row:
            if name not in kinds:
                place = (*where, index, show_path(str(name)))
                faults.append(Fault(place, "unknown-column", "the model has no column of this name"))
        values: dict[str, Value] = {}
        for name, kind in kinds.items():
            try:
                values[name] = _value(row.get(name), kind)
            except _Misfit:
                faults.append(Fault((*where, index, show_path(name)), kind, f"this is not {_EXPECTED[kind]}"))
        found.append(values)
        if len(faults) >= MAX_FAULTS:
            break
    if faults:
        raise Invalid("The rows do not fit the model's columns.", errors=faults[:MAX_FAULTS])
    return found


def _value(value: object, kind: ColumnKind) -> Value:
    if value is None or (isinstance(value, str) and is_missing(value)):
        return None
    if isinstance(value, str):
        return parse_cell(value, kind)
    if isinstance(value, bool):
        if kind == "boolean":
            return float(value)
    elif isinstance(value, int | float):
        return _from_number(value, kind)
    raise _Misfit


def _from_number(value: float, kind: ColumnKind) -> Value:
    try:
        number = float(value)
    except OverflowError as error:
        raise _Misfit from error
    if not math.isfinite(number):
        raise _Misfit
    if kind == "numeric" or (kind == "boolean" and number in (0.0, 1.0)):
        return number
    if kind == "categorical":
        return str(value) if isinstance(value, int) else number_text(number)
    raise _Misfit


def parse_cell(text: str, kind: ColumnKind) -> float | str:
    """The value of a cell that is not missing, of a column whose kind is known; numbers are finite.

    Raises:
        ValueError: it is not of that kind.
    """
    if kind in ("categorical", "text"):
        if len(text) > MAX_TEXT_BYTES or not _fits(text):
            raise _Misfit
        return text
    parse = {"numeric": parse_number, "boolean": parse_switch, "datetime": parse_time}[kind]
    number = parse(text)
    if number is None or not math.isfinite(number):
        raise _Misfit
    return number


def _fits(text: str) -> bool:
    try:
        return len(text.encode()) <= MAX_TEXT_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape
        return False


def read_rows_csv(data: bytes, *, limit: int) -> list[dict[str, Any]]:
    """The rows of a CSV file as text, to be given to `checked_rows`.

    Raises:
        CsvMalformed, DuplicateColumn, PayloadTooLarge: as `CsvReader`.
        TooManyItems: more than `limit` rows.
        PayloadTooLarge: more than `MAX_CELLS` values in all.
    """
    reader = CsvReader(io.BytesIO(data), None)
    rows: list[dict[str, Any]] = []
    for _, row in reader:
        if len(rows) == limit:
            raise TooManyItems(f"At most {limit} rows are taken at once.")
        _check_cells((len(rows) + 1) * len(reader.header.columns))
        rows.append(dict(zip(reader.header.columns, row, strict=True)))
    return rows


def read_rows_jsonl(data: bytes, *, limit: int) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, to be given to `checked_rows`; empty lines are passed over.

    Raises:
        MalformedJson: a line is no JSON object in UTF-8, is longer than a row may be, names a key twice, or has NaN,
            infinity, or a value that is a list or an object; names the line.
        TooManyItems: more than `limit` rows.
        PayloadTooLarge: more than `MAX_CELLS` values in all.
    """
    rows: list[dict[str, Any]] = []
    cells = 0
    for number, line in enumerate(io.BytesIO(data), start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        if len(rows) == limit:
            raise TooManyItems(f"At most {limit} rows are taken at once.")
        rows.append(_json_object(content, number))
        cells += len(rows[-1])
        _check_cells(cells)
    return rows


def _check_cells(cells: int) -> None:
    if cells > MAX_CELLS:
        raise PayloadTooLarge(f"At most {MAX_CELLS} values are taken at once.")


def _json_object(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _bad_line(number)
    try:
        value = read_json(line, max_depth=1)
    except ValueError as error:
        raise _bad_line(number) from error
    if not isinstance(value, dict):
        raise _bad_line(number)
    return value


def _bad_line(number: int) -> MalformedJson:
    fault = Fault(("file", number), MalformedJson.slug, f"Line {number} is not one short, flat JSON object in UTF-8.")
    return MalformedJson(fault.message, errors=[fault])
