"""Rows and texts that come with a request: in its JSON, or as one file of CSV or JSON lines."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import Fault, Invalid
from service.inputs.asking import Asked
from service.inputs.kept import Kept, input_row
from service.specs.archive_paths import show_path
from service.specs.datasets import Modality
from service.specs.explanations import MAX_SAMPLES
from service.specs.table_rows import MAX_TEXT_BYTES, checked_rows, read_rows_csv, read_rows_jsonl
from service.specs.tables import ColumnSchema
from service.specs.text_files import text_format
from service.store import Store
from service.store.serving import VALUES

Place = tuple[str | int, ...]


def keep_rows(store: Store, described: Mapping[str, Any], asked: Asked) -> Kept:
    """Checks rows against the model's columns and keeps them.

    `described` is the model's `input`. The target and the columns that its dataset ignored may come along; they are
    not looked at.

    Raises:
        Invalid: a row is no object, a column is unknown, a value is not of its column's kind; `errors` says where.
        CsvMalformed, DuplicateColumn, MalformedJson, TooManyItems, UnsupportedMediaType, PayloadTooLarge: the file.
    """
    where, rows = _sent(asked, "tabular")
    wrong = [
        Fault((*where, index), "object", "a row is an object: {column: value}")
        for index, row in enumerate(rows)
        if not isinstance(row, dict)
    ]
    if wrong:
        raise Invalid("Not every input is a row.", errors=wrong[:100])
    columns = [ColumnSchema.model_validate(column) for column in described["columns"]]
    idle = {described.get("target"), *described.get("ignored", [])} - {column.name for column in columns}
    kept = [{name: value for name, value in row.items() if name not in idle} for row in rows]
    return _keep(store, "row", checked_rows(columns, kept, where=where))


def keep_texts(store: Store, described: Mapping[str, Any], asked: Asked) -> Kept:
    """Checks texts and keeps them; of a file, those of the model's text column.

    Raises:
        Invalid: a text is no string, is empty, or too long; `errors` says where.
        CsvMalformed, DuplicateColumn, MalformedJson, TooManyItems, UnsupportedMediaType, PayloadTooLarge: the file.
    """
    where, values = _sent(asked, "text")
    if asked.files:
        name = str(described["text"])
        if not any(name in row for row in values):
            fault = Fault(where, "missing-column", f"the model reads the column {show_path(name)}")
            raise Invalid("The file has no column of texts.", errors=[fault])
        values = [row.get(name) for row in values]
    faults = [
        Fault((*where, index), code, message)
        for index, value in enumerate(values)
        for code, message in _faults_of_text(value)
    ]
    if faults:
        raise Invalid("Not every input is a text.", errors=faults[:100])
    return _keep(store, "text", values)


def _sent(asked: Asked, modality: Modality) -> tuple[Place, Sequence[Any]]:
    """Where faults lie, and what was sent."""
    if not asked.files:
        return ("body", "inputs"), asked.values
    if len(asked.files) > 1:
        fault = Fault(("body", "file"), "one-file", "one file of CSV or JSON lines")
        raise Invalid(f"A {modality} model takes one file.", errors=[fault])
    (_, data) = asked.files[0]
    read = read_rows_jsonl if text_format(io.BytesIO(data)) == "jsonl" else read_rows_csv
    rows = read(data, limit=MAX_SAMPLES)
    if not rows:
        raise Invalid("The file has no rows.", errors=[Fault(("body", "file", 0), "empty", "at least one row")])
    return ("body", "file", 0), rows


def _faults_of_text(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, str):
        return [("text", "this is not a text")]
    try:
        size = len(value.encode())
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape
        return [("text", "this is not Unicode")]
    if not any(sign.isprintable() and not sign.isspace() for sign in value):
        return [("empty-text", "the text is empty, or of invisible characters only")]
    return [] if size <= MAX_TEXT_BYTES else [("too-long", f"at most {MAX_TEXT_BYTES} bytes")]


def _keep(store: Store, noun: str, values: Sequence[Any]) -> Kept:
    written = [json.dumps(value, ensure_ascii=False) for value in values]
    artifact = store.artifacts.hold(f"[{','.join(written)}]".encode(), "application/json")
    rows = [
        input_row(f"{noun} {index}", hashlib.sha256(_own_bytes(value, text)).hexdigest())
        for index, (value, text) in enumerate(zip(values, written, strict=True))
    ]
    return Kept(rows, {VALUES: artifact})


def _own_bytes(value: Any, written: str) -> bytes:
    return (value if isinstance(value, str) else written).encode()
