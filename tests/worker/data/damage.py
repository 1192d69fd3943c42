"""Parquet files of which only a part can be read."""

from collections.abc import Collection
from pathlib import Path

import pyarrow.parquet as pq


def leave_readable(path: Path, groups: Collection[int], columns: Collection[str]) -> None:
    """Overwrites all data but that of `columns` in the row groups numbered `groups`."""
    metadata = pq.read_metadata(path)
    content = bytearray(path.read_bytes())
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if number not in groups or chunk.path_in_schema not in columns:
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
