"""Which rows have the same features."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from worker.data.tables.cells import Cells, NumberCells

_BLOCK_ROWS = 50_000


def digest_rows(columns: Iterable[Cells], rows: int) -> list[str]:
    """SHA-256 (hex) of each row's values, in column order.

    A number counts as its eight bytes (zero has one sign, NaN is missing), a text as its own SHA-256, nothing as
    zeros after a byte that says so: equal rows, and only those, have equal digests, in any table of these columns.
    """
    columns = list(columns)
    tables = [None if isinstance(column, NumberCells) else _text_digests(column.texts) for column in columns]
    digests: list[str] = []
    for start in range(0, rows, _BLOCK_ROWS):
        part = slice(start, min(rows, start + _BLOCK_ROWS))
        pieces = [_bytes_of(column, table, part) for column, table in zip(columns, tables, strict=True)]
        block = np.ascontiguousarray(np.concatenate(pieces, axis=1))
        digests += [hashlib.sha256(row).hexdigest() for row in block]
    return digests


def _text_digests(texts: list[str]) -> NDArray[np.uint8]:
    """[texts + 1, 33]; the last one is of a missing text."""
    made = b"".join(b"\1" + hashlib.sha256(text.encode()).digest() for text in texts) + bytes(33)
    return np.frombuffer(made, dtype=np.uint8).reshape(-1, 33)


def _bytes_of(column: Cells, table: NDArray[np.uint8] | None, part: slice) -> NDArray[np.uint8]:
    """[rows, 9 or 33]."""
    if not isinstance(column, NumberCells):
        assert table is not None, "texts have their digests"
        return table[column.codes[part]]
    present = column.present[part]
    values = np.where(present, column.values[part], 0.0) + 0.0
    flags = present.astype(np.uint8)[:, None]
    return np.concatenate([flags, values.astype("<f8").view(np.uint8).reshape(-1, 8)], axis=1)
