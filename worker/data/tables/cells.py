"""The cells of one column: numbers, or places in a list of distinct texts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.specs.cell_values import is_missing, number_text, time_text

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
NumberKind = Literal["numeric", "boolean", "datetime"]


@dataclass(frozen=True)
class TextCells:
    """Distinct texts by first appearance, and each row's place among them: codes [n] int32, -1 where missing."""

    codes: Codes
    texts: list[str]

    @property
    def present(self) -> NDArray[np.bool_]:
        """[n]: where there is a value."""
        return self.codes >= 0

    def counts(self) -> NDArray[np.int64]:
        """Rows of each text."""
        return np.bincount(self.codes[self.present], minlength=len(self.texts))

    def rows_of(self, wrong: Callable[[str], bool]) -> NDArray[np.int64]:
        """Rows, ascending, whose text is `wrong`."""
        codes = [code for code, text in enumerate(self.texts) if wrong(text)]
        return np.flatnonzero(np.isin(self.codes, np.array(codes, dtype=np.int32)))

    def objects(self) -> NDArray[Any]:
        """[n] of str, None where missing; equal texts are one object."""
        return np.array([*self.texts, None], dtype=object)[self.codes]


@dataclass(frozen=True)
class NumberCells:
    """Numbers, 0 and 1, or seconds since 1970: values [n] float64, NaN where missing."""

    kind: NumberKind
    values: Floats

    @property
    def present(self) -> NDArray[np.bool_]:
        """[n]: where there is a value."""
        return ~np.isnan(self.values)

    def as_text(self) -> TextCells:
        """Numbers at their shortest, `true` and `false`, ISO 8601."""
        distinct, inverse = np.unique(self.values, return_inverse=True)
        codes = inverse.astype(np.int32)
        codes[~self.present] = -1
        texts = [_text_of(self.kind)(float(value)) for value in distinct if not np.isnan(value)]
        return TextCells(codes, texts)


Cells = TextCells | NumberCells


@dataclass(frozen=True)
class RawTable:
    """A table as read, before kinds are decided.

    Attributes:
        names: of the columns, in the order of the file.
        cells: a column by name, made anew at each call: Python's strings of all columns at once are too much.
        lines: [n] the line of a CSV file that each row begins on; None of Parquet.
    """

    names: tuple[str, ...]
    cells: Callable[[str], Cells]
    rows: int
    lines: NDArray[np.int64] | None = None

    def place(self, row: int) -> tuple[tuple[str | int, ...], str]:
        """Where a row is found in the upload: for a fault, and in words."""
        if self.lines is None:
            return ("row", row), f"Row {row} (from 0)"
        line = int(self.lines[row])
        return ("file", line), f"Line {line}"


def text_cells(column: pa.ChunkedArray) -> TextCells:
    """Of a column of strings; nulls, and texts that mean "no value", are missing."""
    encoded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    whole = encoded.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # a column without a chunk stays chunked
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string()).dictionary_encode()
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return _settled(codes, whole.dictionary.to_pylist())


def _settled(codes: Codes, texts: list[str | None]) -> TextCells:
    """Each text once and by first appearance, and none that means "no value" or that no row has."""
    used, first = np.unique(codes, return_index=True)
    place: dict[str, int] = {}
    moved = np.full(len(texts) + 1, -1, dtype=np.int32)  # the last one is of -1
    for code in used[np.argsort(first)]:
        text = texts[code] if code >= 0 else None
        if text is not None and not is_missing(text):
            moved[code] = place.setdefault(text, len(place))
    return TextCells(moved[codes], list(place))


def _text_of(kind: NumberKind) -> Callable[[float], str]:
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    return number_text if kind == "numeric" else time_text
