"""Uploads of texts: JSON Lines or CSV, read row by row in bounded memory, and nothing guessed.

The API checks an upload with it before it is accepted; validation reads the same rows again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from service.errors import Fault, Invalid, PayloadTooLarge, TargetInvalid, UnsupportedMediaType
from service.specs.csv_reader import BYTE_ORDER_MARK, MAX_COLUMN_NAME, MAX_FAULTS, CsvLimits, CsvReader
from service.specs.strict_json import NotStrict, read_json

TextFormat = Literal["jsonl", "csv"]
MOST_COLUMNS = 100
MOST_DEPTH = 32
TEXT_LIMITS = CsvLimits(file_bytes=1024**3, rows=1_000_000)
"""A text has at most 128 KiB, of which a network reads a thousand tokens at most."""
_FOREIGN = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PAR1", b"%PDF", b"\x80\x04")


@dataclass(frozen=True)
class TextRow:
    """One sample as uploaded.

    Attributes:
        line: where it begins, from 1.
        label: of its class; None where there is none.
        others: the other columns' values, None where there is none.
    """

    line: int
    text: str
    label: str | None
    others: dict[str, str | None]


@dataclass(frozen=True)
class TextColumns:
    """Which column is which."""

    text: str = "text"
    target: str = "label"


def text_format(file: IO[bytes]) -> TextFormat:
    """JSON Lines where the first character is a brace, else CSV; leaves the file at its start.

    Raises:
        UnsupportedMediaType: an archive, a compressed file, Parquet, a saved model; a JSON array.
    """
    file.seek(0)
    head = file.read(64).removeprefix(BYTE_ORDER_MARK)
    file.seek(0)
    if head.startswith(_FOREIGN):
        raise UnsupportedMediaType("Texts are taken as JSON Lines or CSV, not packed.")
    if head.lstrip().startswith(b"["):
        raise UnsupportedMediaType("JSON is taken one object a line, not as an array.")
    return "jsonl" if head.lstrip().startswith(b"{") else "csv"


def check_texts(file: IO[bytes], columns: TextColumns, limits: CsvLimits = TEXT_LIMITS) -> int:
    """Reads an upload once, in bounded memory; how many rows it has. Leaves the file at its start.

    Raises:
        UnsupportedMediaType: neither JSON Lines nor CSV.
        Invalid: the text column is missing, or (JSON Lines) lines are no objects with a text; `errors` has the lines.
        TargetInvalid: the target column is missing.
        CsvMalformed, DuplicateColumn: a CSV file breaks a rule.
        PayloadTooLarge: beyond `limits`.
    """
    size = file.seek(0, 2)
    if size > limits.file_bytes:
        raise PayloadTooLarge(f"At most {limits.file_bytes} bytes are taken as texts.")
    rows = sum(1 for _ in read_text_rows(file, columns, limits))
    file.seek(0)
    return rows


def read_text_rows(file: IO[bytes], columns: TextColumns, limits: CsvLimits = TEXT_LIMITS) -> Iterator[TextRow]:
    """The rows of an upload; texts as they are, labels and other cells as text, empty CSV cells as None.

    Raises:
        As `check_texts`, also while iterating.
    """
    if columns.text == columns.target:
        fault = Fault(("body", "target"), TargetInvalid.slug, "the text cannot be its own target")
        raise TargetInvalid("The target is the text column.", errors=[fault])
    return _csv_rows(file, columns, limits) if text_format(file) == "csv" else _json_rows(file, columns, limits)


def _csv_rows(file: IO[bytes], columns: TextColumns, limits: CsvLimits) -> Iterator[TextRow]:
    reader = CsvReader(file, None, limits)
    names = reader.header.columns
    _check_named(names, columns)
    text, target = names.index(columns.text), names.index(columns.target)
    for line, cells in reader:
        others = {name: cells[at] or None for at, name in enumerate(names) if at not in (text, target)}
        yield TextRow(line, cells[text], cells[target] or None, others)


def _json_rows(file: IO[bytes], columns: TextColumns, limits: CsvLimits) -> Iterator[TextRow]:
    """A column that the first object lacks is missing; of others only the lines that lack them are at fault."""
    faults: list[Fault] = []
    seen: dict[str, None] = {}
    count, is_first = 0, True
    for line, content in _lines(file, limits):
        try:
            found = _read_object(content)
            if is_first:
                _check_named(tuple(found), columns)
                is_first = False
            row = _row(line, found, columns, limits.field_bytes)
        except ValueError as error:
            faults.append(Fault(("file", line), "jsonl-malformed", f"Line {line}: {error}."))
            if len(faults) == MAX_FAULTS:
                break
            continue
        seen |= dict.fromkeys(row.others)
        count += 1
        if len(seen) > MOST_COLUMNS:
            raise Invalid(f"Line {line}: there are more than {MOST_COLUMNS} other columns.")
        if count > limits.rows:
            raise PayloadTooLarge(f"More than {limits.rows} texts are not taken.")
        if not faults:
            yield row
    if faults:
        raise Invalid(faults[0].message, errors=faults)


def _lines(file: IO[bytes], limits: CsvLimits) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(limits.row_bytes + 1):
        number += 1
        if len(line) > limits.row_bytes:
            fault = Fault(("file", number), "jsonl-malformed", f"Line {number}: longer than {limits.row_bytes} bytes.")
            raise Invalid(fault.message, errors=[fault])
        content = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).strip()
        if content:
            yield number, content


def _read_object(line: bytes) -> dict[str, Any]:
    """The object of a line; `ValueError` says what is wrong with it."""
    try:
        found = read_json(line, max_depth=MOST_DEPTH)
    except UnicodeDecodeError as error:
        raise ValueError("the text is not UTF-8") from error
    except NotStrict as error:
        raise ValueError(f"the line {error}") from error
    except ValueError as error:
        raise ValueError("this is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError("this is no JSON object")
    return found


def _row(line: int, found: dict[str, Any], columns: TextColumns, most_bytes: int) -> TextRow:
    text, label = found.pop(columns.text, None), _cell(found.pop(columns.target, None))
    if not isinstance(text, str):
        raise ValueError("the text is missing or no string")
    others = {name: _cell(value) for name, value in found.items()}
    for name in others:
        if not name or name != name.strip() or len(name) > MAX_COLUMN_NAME or not name.isprintable():
            raise ValueError(f"a name is empty, padded, unprintable or longer than {MAX_COLUMN_NAME}")
    for value in (text, label, *others.values()):
        _check_characters(value or "", most_bytes)
    return TextRow(line, text, label, others)


def _cell(value: object) -> str | None:
    """As text: strings as they are, all else as JSON writes it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _check_characters(text: str, most_bytes: int) -> None:
    if "\0" in text:
        raise ValueError("there is a NUL")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("there is half of a surrogate pair") from error
    if size > most_bytes:
        raise ValueError(f"a value is longer than {most_bytes} bytes")


def _check_named(names: Sequence[str], columns: TextColumns) -> None:
    if columns.text not in names:
        fault = Fault(("body", "text"), "missing-column", "the file has no column of this name")
        raise Invalid("The file has no text column of that name.", errors=[fault])
    if columns.target not in names:
        fault = Fault(("body", "target"), TargetInvalid.slug, "the file has no column of this name")
        raise TargetInvalid("The file has no target column of that name.", errors=[fault])
