"""How the rows of a `samples.parquet` are cut into groups: whoever wants one row reads its group whole."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

GROUP_TEXT_BYTES = 8 * 1024**2


def row_groups(text_bytes: NDArray[np.int64], most_rows: int) -> Iterator[slice]:
    """Groups in order, each of at most `most_rows` rows and `GROUP_TEXT_BYTES` of text, but at least one row.

    Args:
        text_bytes: [n], how long the texts of each row are together.
        most_rows: of a group.
    """
    ends = np.cumsum(text_bytes)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + GROUP_TEXT_BYTES, side="right"))
        stop = min(max(fitting, start + 1), start + most_rows)
        yield slice(start, min(stop, len(ends)))
        start = stop
