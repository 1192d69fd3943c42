"""CSV files into columns of text."""

from array import array
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from service.specs.csv_reader import DEFAULT_LIMITS, CsvLimits, CsvReader
from service.specs.tables import Delimiter
from worker.data.tables.cells import Cells, RawTable, text_cells

BATCH_ROWS = 10_000


def read_csv(
    path: Path, delimiter: Delimiter | None, *, progress: Callable[[int, int], None], limits: CsvLimits = DEFAULT_LIMITS
) -> RawTable:
    """Every column as text; `progress` is called with bytes read and in all.

    By the reader that the API checks uploads with, so that the two cannot see different tables. Strings wait in
    Arrow's buffers, a tenth of what Python's would need.

    Raises:
        CsvMalformed, DuplicateColumn, PayloadTooLarge: as `CsvReader`.
        Stopped: by `progress`.
    """
    size = path.stat().st_size
    lines = array("q")
    with path.open("rb") as file:
        reader = CsvReader(file, delimiter, limits)
        names = reader.header.columns
        chunks: list[list[pa.Array]] = [[] for _ in names]
        rows = iter(reader)
        while batch := list(islice(rows, BATCH_ROWS)):
            progress(file.tell(), size)
            lines.extend(line for line, _ in batch)
            for column, values in zip(chunks, zip(*(row for _, row in batch), strict=True), strict=True):
                column.append(pa.array(values, pa.string()))
    by_name = dict(zip(names, chunks, strict=True))

    def cells(name: str) -> Cells:
        return text_cells(pa.chunked_array(by_name[name], pa.string()))

    return RawTable(names, cells, len(lines), np.array(lines, dtype=np.int64))
