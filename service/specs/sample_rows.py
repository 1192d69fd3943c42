"""Some rows of a `samples.parquet`, without reading the others."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def read_rows(file: pq.ParquetFile, places: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
    """The rows at `places`, in that order; a place may come twice. `columns` None: all.

    Only the groups of rows that hold one are read, one at a time, and of these only `columns`.

    Raises:
        IndexError: there is no such row.
    """
    if places and not 0 <= min(places) <= max(places) < file.metadata.num_rows:
        raise IndexError("the file has no such row")
    names = list(columns or file.schema_arrow.names)
    wanted = sorted(set(places))
    found = []
    start = at = 0
    for group in range(file.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        here = at
        while at < len(wanted) and wanted[at] < stop:
            at += 1
        if at > here:
            rows = file.read_row_group(group, columns=names, use_threads=False).select(names)
            found.append(rows.take(pa.array([place - start for place in wanted[here:at]], pa.int64())))
        start = stop
    together = pa.concat_tables(found) if found else file.schema_arrow.empty_table().select(names)
    order = {place: number for number, place in enumerate(wanted)}
    return together.unify_dictionaries().take(pa.array([order[place] for place in places], pa.int64()))
